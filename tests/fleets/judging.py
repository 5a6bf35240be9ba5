"""The judge of a fleet: looks at the lab's disks, power logs and counts, and at the sizes of histories."""

import itertools
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.crash.judging import both_on, equal
from tests.end_to_end.running import Programs
from tests.fleets.inventory import SRS, Installation
from tests.fleets.playing import Played

MOST_EVENTS, MOST_BYTES = 10_000, 10 << 20


def judge(running: Programs, made: Installation, played: Played) -> list[str]:
    """What is wrong, in sentences."""
    sources, pool = running.vcenter("state"), running.xapi("state")["vms"]
    on_target: dict[str, list[tuple[float, str]]] = {}
    for at, name, state in running.xapi("power"):
        on_target.setdefault(name, []).append((at, state))
    return [
        *_told(made, played),
        *(each for vm in made.good for each in _moved(running, vm, sources[vm], pool, on_target.get(vm, []))),
        *(each for vm in (made.bad, made.stubborn) for each in _as_before(vm, sources[vm], pool)),
        *_in_order(made, sources, on_target),
        *_limits(running, made, sources, on_target, played),
        *_nothing_left(running, played),
        *_sizes(played),
    ]


def _told(made: Installation, played: Played) -> list[str]:
    report = played.report
    expected = {made.bad: "preflight.independent_disk", made.stubborn: "migration.cancelled"}
    wrong = [] if report.outcome == "partial" else [f"the outcome is {report.outcome}"]
    if report.not_done.keys() != expected.keys():
        wrong.append(f"not done are {report.not_done}")
    if played.asked.get(made.stubborn) != "source.shutdown_timeout" or set(played.asked) != {made.stubborn}:
        wrong.append(f"a human was asked about {played.asked}")
    return wrong


def _moved(running: Programs, vm: str, source: Any, pool: list[Any], log: list[tuple[float, str]]) -> list[str]:
    wrong = [f"{vm}: {each}" for each in both_on(source["power_log"], [(at, vm, state) for at, state in log])]
    if source["power"] != "poweredOff" or source["snapshots"] or source["change_tracking"]:
        wrong.append(f"{vm}: its source is {source['power']}, snapshots {source['snapshots']}")
    copies = [each for each in pool if each["name"] == vm]
    if [each["power_state"] for each in copies] != ["Running"]:
        return [*wrong, f"{vm}: on the pool are {[(each['name'], each['power_state']) for each in copies]}"]
    flats = sorted(
        (running.state / "vsphere").glob(f"*/{vm}/*-flat.vmdk"), key=lambda file: (len(file.name), file.name)
    )
    disks = [Path(each["snapshot_file"]) for each in copies[0]["disks"]]
    if len(flats) != len(disks) or not flats:
        return [*wrong, f"{vm}: {len(disks)} of {len(flats)} disks are there"]
    return wrong + [
        f"{vm}: {flat.name} and its copy differ"
        for flat, disk in zip(flats, disks, strict=True)
        if not equal(flat, disk)
    ]


def _as_before(vm: str, source: Any, pool: list[Any]) -> list[str]:
    marks = [key for key in source["extra_config"] if key.startswith("ferry.")]
    wrong = [] if source["power"] == "poweredOn" and not source["snapshots"] and not marks else [f"{vm}: {source}"]
    return wrong + [f"{vm}: it is on the pool" for each in pool if each["name"] == vm]


def _off_at(source: Any) -> float:
    return max(at for at, state in source["power_log"] if state == "poweredOff")


def _on_at(log: list[tuple[float, str]]) -> float:
    return min(at for at, state in log if state == "Running")


def _in_order(made: Installation, sources: Any, target: dict[str, list[tuple[float, str]]]) -> list[str]:
    """Nobody went off before those that it comes after ran on the pool; nor before the window opened."""
    wrong = []
    for app, base in made.after.items():
        if app in made.good and _off_at(sources[app]) < _on_at(target[base]):
            wrong.append(f"{app} went off before {base} ran")
    waves = [[vm for vm in each if vm in made.good] for each in made.waves.values()]
    for before, later in itertools.pairwise(waves):
        last = max(before, key=lambda vm: _on_at(target[vm]))
        wrong += [f"{vm} went off before {last} of the wave before it ran" for vm in later
                  if _off_at(sources[vm]) < _on_at(target[last])]  # fmt: skip
    opened: datetime = made.opens
    wrong += [f"{vm} went off before its window" for vm in waves[2] if _off_at(sources[vm]) < opened.timestamp()]
    return wrong


def _limits(
    running: Programs, made: Installation, sources: Any, target: dict[str, list[tuple[float, str]]], played: Played
) -> list[str]:
    """As the simulators count: machines between their power-off and their start."""
    most_off = _most_off(made.good, sources, target)
    most = made.request["at_once"]
    wrong = [] if most_off <= most else [f"{most_off} were off at once, and {most} may be"]
    # One that was parked counts again while it is called off, and its turn is another's by then.
    if played.most_copying > most or played.most_cutting > most + 1:
        wrong.append(f"it told of {played.most_copying} that are copied, {played.most_cutting} that are cut over")
    for resource, limit in made.limits.items():
        users = made.users(resource)
        if (count := _most_off(users, sources, target)) > limit:
            wrong.append(f"{count} of {resource} were off at once, and {limit} may be")
    stats = running.xapi("stats")
    if set(stats["most_written_at_once"]) != set(SRS):
        wrong.append(f"written were {stats['most_written_at_once']}")
    if any(count != 1 for count in stats["most_writers_at_once"].values()):
        wrong.append("a VDI had more than one writer")
    return wrong


def _most_off(vms: list[str], sources: Any, target: dict[str, list[tuple[float, str]]]) -> int:
    changes = [(_off_at(sources[vm]), 1) for vm in vms] + [(_on_at(target[vm]), -1) for vm in vms]
    off = most = 0
    for _, change in sorted(changes):
        off += change
        most = max(most, off)
    return most


def _nothing_left(running: Programs, played: Played) -> list[str]:
    left = running.xapi("left")
    found = {kind: set(left[kind]) for kind in ("tasks", "dom0_vbds", "loose_vdis", "loose_snapshots")}
    found["loose_vdis"] -= played.kept  # what was sent of one that was called off may be gone on with
    return [f"left are {kind}: {sorted(each)[:3]}" for kind, each in found.items() if each]


def _sizes(played: Played) -> list[str]:
    return [
        f"{name}: a run of {events} events and {size} bytes"
        for name, runs in played.histories.items()
        for events, size in runs
        if events > MOST_EVENTS or size > MOST_BYTES
    ]
