"""The end of a migration, as people read it."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from contracts.after import SmokeReport
from contracts.console import Seen
from contracts.names import GOOD_ENDS
from contracts.steps import ProofReport
from contracts.told import DiskReport, Report
from starter.views.tables import table
from starter.views.words import DASH, seconds, size

_VERDICTS = {"holds": "holds", "differs": "DIFFERS", "not-made": "not made"}


def report_view(report: Report, *, workflow: str = "") -> RenderableType:
    """Outcome, numbers, disks."""
    good = report.outcome in GOOD_ENDS
    route = f"  {report.source} → {report.target}" if report.source else ""
    at = f"  ({workflow})" if workflow else ""
    parts: list[RenderableType] = [
        Text.assemble((report.vm, "bold"), route, "  ", (report.outcome, "bold green" if good else "bold red"), at)
    ]
    if report.error:
        parts.append(Text(f"{report.error}: {report.message}", style="" if good else "red"))
    parts += [Text(f"{name + ':':<32}{value}") for name, value in _numbers(report)]
    if report.disks:
        parts.append(Padding(_disks(report.disks), (1, 0, 0, 0)))
    parts += [Text(f"kept on the target: VDI {vdi}") for vdi in report.kept_vdis]
    parts += [Text(f"note: {note}") for note in report.notes]
    return Group(*parts)


def smoke_told(test: SmokeReport) -> str:
    """One smoke test in a few words."""
    if test.passed:
        tools = ", its guest tools answer" if test.vitals.tools else ""
        return f"it runs{tools}{''.join(f', {each} is open' for each in test.open_ports)}"
    accepted = f" (taken as it is by {test.accepted_by})" if test.accepted_by else ""
    return f"{'; '.join(test.missing)}{accepted}"


def console_told(seen: Seen) -> list[tuple[str, str]]:
    """What its console showed, as far as there is anything to tell."""
    told = [
        ("picture of its console", seen.picture),
        ("its console says", seen.text[-200:]),
        ("its console", seen.note),
    ]
    return [(name, value) for name, value in told if value]


def _numbers(report: Report) -> list[tuple[str, str]]:
    rows = [("passes", str(report.passes))]
    if report.passes:
        rows += [
            ("allocated", size(report.bytes_allocated)),
            ("sent", size(report.bytes_sent)),
            ("sent again", size(report.bytes_sent_again)),
        ]
    rows += [(f"smoke test {each.when}", smoke_told(each)) for each in report.smoke_tests[-1:]]
    rows += [row for each in report.smoke_tests[-1:] if each.console for row in console_told(each.console)]
    rows += [("the source is called", report.retired_as)] if report.retired_as else []
    if report.downtime_s is not None:
        rows.append(("downtime", seconds(report.downtime_s)))
    if report.outcome == "done" or report.disks:
        rows += [
            ("target = what was sent", _VERDICTS.get(report.proof_target_is_sent, report.proof_target_is_sent)),
            (
                "target = source at power-off",
                _VERDICTS.get(report.proof_target_is_source, report.proof_target_is_source),
            ),
        ]
    rows += [
        (f"repaired {disk.slot}", f"{len(proof.differences)} or more blocks differed, sent again and proven again")
        for disk in report.disks
        for proof in disk.repaired
    ]
    rows += [("decided", f"{each.decision} by {each.who}") for each in report.decisions[-3:]]
    if report.record_head:
        rows.append(("record", f"{report.record_entries} entries, head {report.record_head}"))
    if report.target_vm:
        rows.append(("VM on the target", report.target_vm))
    return rows


def _disks(disks: tuple[DiskReport, ...]) -> RenderableType:
    return table(
        ("disk", "size", "VDI", "read by", "as sent", "as source"),
        [
            (
                each.slot,
                size(each.capacity),
                each.vdi,
                each.transport or DASH,
                proof_told(each.proof_target_is_sent),
                proof_told(each.proof_target_is_source),
            )
            for each in disks
        ],
        right=("size",),
    )


def proof_told(proof: ProofReport | None) -> str:
    """One proof of one disk in a word or two."""
    if proof is None:
        return DASH
    if proof.holds and proof.made:
        return f"yes, {size(proof.bytes_read)} in {seconds(proof.seconds)}"
    if not proof.made:
        return "not made"
    return f"NO, at {', '.join(map(str, proof.differences[:3])) or 'no known place'}"
