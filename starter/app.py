"""The commands, in the order in which an operator meets them. Light: whatever is heavy is imported when it is used."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from starter.commands import (
    answering,
    applying,
    approving,
    assessing,
    cancelling,
    codec_serving,
    collecting,
    demonstrating,
    diagnosing,
    explaining,
    fleets,
    inventorying,
    lab,
    moving,
    permitting,
    planning,
    rehearsing,
    reporting,
    retiring,
    rolling_back,
    showing,
    starting,
    steering,
    templates,
    test_booting,
    verifying,
)

app = typer.Typer(
    name="ferry",
    no_args_is_help=True,
    # The plain help: it opens three times as fast as the framed one, and reads well in a pipe.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"ferry {version('ferry')}")
    except PackageNotFoundError:
        typer.echo("ferry (not installed)")
    raise typer.Exit


@app.callback()
def ferry(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Moves virtual machines to XCP-ng, durably: each migration is a Temporal workflow.

    \b
    See the whole of it here, without any hypervisor:
      ferry demo
    Move one VM:
      ferry doctor                  is everything reachable?
      ferry inventory               which VMs are there?
      ferry assess                  which of them are ready to move?
      ferry start web01             start; it goes on whatever becomes of this terminal
      ferry status web01 --watch    where is it, and what does it wait for?
      ferry approve web01           yes to the cutover, after seeing the facts
    When something is refused, it has a code:
      ferry explain xapi.sr_full

    \b
    Exit codes: 0 done, 1 error, 2 usage, 3 partial, 4 preflight blocked, 5 waits for a human, 6 stale ticket or plan,
    7 verification failed, 8 still running, 9 conflict, 10 login or TLS, 130 interrupted.
    """


app.command("demo", short_help="See it all here: migrate, crash, go on, prove.")(demonstrating.demo)
app.add_typer(lab.app, name="lab")
app.command("doctor", short_help="Is all there that a migration needs?")(diagnosing.doctor)
app.command("inventory", short_help="List the VMs of a source.")(inventorying.inventory)
app.command("assess", short_help="Which VMs are ready, which are not, and why.")(assessing.assess)
app.command("plan", short_help="Write a plan of many migrations, in waves.")(planning.plan)
app.command("rehearse", short_help="Play a plan through on paper: its calendar.")(rehearsing.rehearse)
app.command("apply", short_help="Begin the migrations of a plan, if it is still true.")(applying.apply)
app.add_typer(fleets.app, name="fleet", short_help="See and steer a fleet as one.")
app.command("start", short_help="Start the migration of a VM.")(starting.start)
app.command("capacity", short_help="Who holds which permits, and who waits for what.")(permitting.capacity)
app.command("status", short_help="Where a migration is, or all of them.")(showing.status)
app.command("approve", short_help="Say yes to the cutover.")(approving.approve)
app.command("reject", short_help="Say no, or take a yes back.")(answering.reject)
app.command("pause", short_help="Cut the pass, thaw the source, wait.")(steering.pause)
app.command("resume", short_help="Go on after a pause.")(steering.resume)
app.command("sync-now", short_help="Begin the next delta pass at once.")(steering.sync_now)
app.command("limit", short_help="Copy no faster than that.")(steering.limit)
app.command("retry", short_help="Try again what needed a human.")(answering.retry)
app.command("cancel", short_help="Stop a migration.")(cancelling.cancel)
app.command("rollback", short_help="Back to the source.")(rolling_back.rollback)
app.command("verify", short_help="Prove a finished migration again.")(verifying.verify)
app.command("report", short_help="How a migration ended, and its record.")(reporting.report)
app.command("verify-report", short_help="Check an exported record, offline.")(reporting.verify_report)
app.add_typer(collecting.app, name="gc")
app.command("test-boot", short_help="Boot what was copied so far, beside everything.")(test_booting.boot_test)
app.command("retire", short_help="Rename the source of a finished migration, or remove it.")(retiring.retire)
app.command("move-disk", short_help="Move a running VM's disks to another SR.")(moving.move_disk)
app.command("explain", short_help="What an error code means.")(explaining.explain)
app.command("codec-server", short_help="Let `temporal` and its Web UI read what is encrypted.")(
    codec_serving.codec_server
)
app.command("templates", short_help="Which template a guest OS gets.")(templates.templates)
