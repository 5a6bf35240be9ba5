"""A fleet as people read it: its numbers, its waves, and what somebody should do."""

from collections.abc import Iterator
from shlex import quote

from rich.console import Group, RenderableType
from rich.text import Text

from contracts.fleet import FleetAck
from contracts.fleet_rows import MemberRow
from starter.fleets import SeenFleet
from starter.views.tables import table
from starter.views.words import rate, seconds, share, size

MOST = 20
"""Rows of each kind; `-o json` has all."""


def fleet_status_view(seen: SeenFleet) -> RenderableType:
    """All of it, what must be done last: there the eye is."""
    return Group(*_head(seen), Text(), _waves(seen), *_asks(seen), *_human(seen), *_failed(seen), *_waiting(seen))


def ack_view(ack: FleetAck, verb: str) -> RenderableType:
    """Whom it took, and whom it did not, with the reason."""
    parts: list[RenderableType] = [Text(f"{verb}: {len(ack.taken)}{_names(list(ack.taken))}")]
    if ack.passed_over:
        parts.append(Text(f"passed over: {len(ack.passed_over)}"))
        parts.append(table(("VM", "because it is"), list(ack.passed_over.items())))
    return Group(*parts)


def _names(names: list[str], most: int = 8) -> str:
    return f" ({', '.join(names[:most])}{', …' if len(names) > most else ''})" if names else ""


def _head(seen: SeenFleet) -> Iterator[RenderableType]:
    now, pace = seen.status, seen.pace
    state = "over" if now.over else f"paused by {now.paused_by}" if now.paused else "running"
    counts = ", ".join(f"{count} {name}" for name, count in now.standing.items())
    yield Text(f"fleet {now.fleet}: {state}; {now.members} VMs: {counts}")
    yield Text(
        f"copying {now.copying}, cutting over {now.cutting_over}, at most {now.at_once} of each; "
        f"sent {size(pace.bytes_sent)} of disks of {size(pace.bytes_total)}, now {rate(pace.rate)}"
    )
    if now.over:
        return
    whole = pace.copied + pace.left
    yield Text(f"copied once: {pace.copied} of {whole} ({share(pace.copied, whole)}){_eta(seen)}")


def _eta(seen: SeenFleet) -> str:
    within, left = seen.pace.copied_in, seen.pace.left
    if not left:
        return ""
    if seen.status.paused:
        return "; the fleet is paused"
    if within is None:
        return "; when the rest is copied can be told once the first is"
    low, high = (seconds(round(each)) for each in within)
    return f"; the rest in {low}" if low == high else f"; the rest in {low} to {high}"


def _waves(seen: SeenFleet) -> RenderableType:
    rows = []
    for wave in seen.status.waves:
        got = wave.standing
        phases = ", ".join(f"{count} {name}" for name, count in wave.phases.items())
        ended = "".join(f" {got[name]} {name}" for name in ("failed", "cancelled", "skipped") if got.get(name))
        rows.append(
            (
                wave.name,
                str(wave.members),
                str(got.get("waiting", 0)),
                phases,
                str(got.get("done", 0)),
                ended.strip(),
                str(wave.asks or ""),
                str(wave.needs_human or ""),
            )
        )
    heads = ("wave", "VMs", "waiting", "running", "done", "not done", "yes?", "human?")
    return table(heads, rows, right=("VMs", "waiting", "done", "yes?", "human?"))


def _asks(seen: SeenFleet) -> Iterator[RenderableType]:
    asking = [row for row in seen.members if row.asks]
    if not asking:
        return
    fleet = seen.status.fleet
    yield Text(f"\n{len(asking)} wait for a yes:")
    by_wave: dict[str, list[MemberRow]] = {}
    for row in asking:
        by_wave.setdefault(row.wave, []).append(row)
    for wave, rows in by_wave.items():
        yield Text(f"  wave {wave}: {len(rows)}{_names([row.vm for row in rows])}")
        yield Text(f"    ferry fleet approve {fleet} --wave {quote(wave)}")


def _human(seen: SeenFleet) -> Iterator[RenderableType]:
    parked = [row for row in seen.members if row.needs_human]
    if not parked and not seen.status.paused:
        return
    if seen.status.paused and not seen.status.over:
        yield Text("\nthe fleet begins nobody and says no yes, until:")
        yield Text(f"    ferry fleet resume {seen.status.fleet}")
    if parked:
        yield Text(f"\n{len(parked)} need a human:")
        told = [(row.vm, row.needs_human, row.message) for row in parked[:MOST]]
        yield from _told(told, [f"ferry retry {quote(row.workflow)}" for row in parked[:MOST]])
        yield from _more(len(parked))


def _failed(seen: SeenFleet) -> Iterator[RenderableType]:
    failed = [row for row in seen.members if row.standing == "failed"]
    if not failed:
        return
    yield Text(f"\n{len(failed)} failed:")
    again = f"ferry fleet retry {seen.status.fleet} --vm "
    then = [f"ferry report {quote(row.workflow)}" if seen.status.over else again + quote(row.vm) for row in failed]
    yield from _told([(row.vm, row.code, row.message) for row in failed[:MOST]], then[:MOST])
    yield from _more(len(failed))


def _waiting(seen: SeenFleet) -> Iterator[RenderableType]:
    held = [row for row in seen.members if row.waits_for]
    if not held:
        return
    yield Text(f"\n{len(held)} would be cut over after others:")
    alike: dict[tuple[str, str], list[str]] = {}
    for row in held:
        alike.setdefault(
            (row.waits_for, "" if row.asks or not row.approved_by else f"by {row.approved_by}"), []
        ).append(row.vm)
    said = [
        (f"{', '.join(vms[:3])}{f' and {len(vms) - 3} more' if len(vms) > 3 else ''}", waits_for, approved)
        for (waits_for, approved), vms in list(alike.items())[:MOST]
    ]
    yield table(("VM", "waits for", "approved"), said)
    yield from _more(len(alike))


def _told(rows: list[tuple[str, str, str]], then: list[str]) -> Iterator[RenderableType]:
    """What to type has lines of its own: half a command, as a narrow column cuts it, is of another VM."""
    yield table(("VM", "code", "what"), rows, whole=("code",))
    yield from (Text(f"    {command}") for command in then)


def _more(there: int) -> Iterator[RenderableType]:
    if there > MOST:
        yield Text(f"  and {there - MOST} more: -o json shows all")
