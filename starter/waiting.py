"""Waiting for the end of a migration and telling it: `ferry start --wait`."""

from temporalio.client import Client

from contracts.error_catalogue import entry
from contracts.errors import ExitCode, FerryError
from contracts.names import GOOD_ENDS
from starter.failures import tell
from starter.output import Output, put, say
from starter.seen import Seen, as_data
from starter.views.migration import migration_view
from starter.watching import progress, watch


async def wait_and_report(client: Client, workflow: str, output: Output) -> int:
    """Watch until it is over or needs a human; print the report, or what the human must know.

    Returns:
        The exit code.
    """
    with progress() as shown:
        seen = await watch(client, workflow, shown, until_human=True)
    if seen.report is not None:
        put(seen.report, output, lambda: migration_view(seen))
        if seen.outcome not in GOOD_ENDS:
            tell(FerryError(seen.report.error or "internal", seen.report.message))
    else:
        put(as_data(seen), output, lambda: migration_view(seen))
        say(f"it waits for a human: {seen.next_command}")
    return code_of_end(seen)


def code_of_end(seen: Seen) -> ExitCode:
    """The exit code of a wait: the error's own where it failed."""
    if not seen.over:
        return seen.exit_code
    report = seen.report
    if report is None:
        return ExitCode.ERROR
    if report.outcome in GOOD_ENDS:
        differs = "differs" in (report.proof_target_is_sent, report.proof_target_is_source)
        return ExitCode.VERIFICATION_FAILED if differs else ExitCode.DONE
    return entry(report.error).exit_code or ExitCode.ERROR
