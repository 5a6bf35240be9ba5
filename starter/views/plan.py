"""A plan on a terminal: a line a VM, a line a wave, and how the times were reckoned."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from contracts.fleet import Member
from contracts.plan import Plan, rate_of
from contracts.plan_seen import PinnedVm
from starter.planning.reckoning import WaveSum, seconds_of, waves_of, whole_of
from starter.views.tables import table
from starter.views.words import DASH, seconds, size


def plan_view(plan: Plan) -> RenderableType:
    """What `ferry plan` prints."""
    rows = [_row(plan, member) for member in plan.members]
    waves = [_wave(plan, each) for each in [*waves_of(plan), *([whole_of(plan)] if len(plan.waves) > 1 else [])]]
    heads = ("VM", "wave", "what happens", "by", "to copy", "first copy", "after", "warnings")
    sums = ("wave", "yes by", "windows", "VMs", "disks", "to copy", "first copies", "warned", "blocked")
    return Group(
        table(heads, rows, right=("to copy", "first copy")),
        Padding(
            table(sums, waves, right=("VMs", "disks", "to copy", "first copies", "warned", "blocked")), (1, 0, 0, 0)
        ),
        Text(f"Times: what is allocated, at {rate_of(plan)[1]}; {plan.limits.at_once} at once. Deltas come on top."),
    )


def what_happens(plan: Plan, member: Member, seen: PinnedVm | None) -> str:
    """In a few words."""
    said = plan.said_of(member)
    if seen is None:
        return "not looked at"
    if said.get("test_copy"):
        return "test copy, source goes on"
    if seen.power == "off":
        return "copied while off, " + ("then started" if said.get("start_target") else "left off")
    if not seen.disks:
        return "cannot be read"
    how = "copied while it runs, then off and over" if seen.warm else "switched off, then copied"
    return f"{how}, left off" if said.get("start_target") is False else how


def _row(plan: Plan, member: Member) -> tuple[RenderableType, ...]:
    seen = plan.seen.machines.get(member.vm) if plan.seen is not None else None
    blockers = {check.code for check in (seen.checks if seen is not None else ()) if check.severity == "blocker"}
    codes = Text()
    for code in dict.fromkeys(check.code for check in (seen.checks if seen is not None else ())):
        codes.append("\n" if codes.plain else "")
        codes.append(code, style="bold red" if code in blockers else "yellow")
    return (
        member.vm,
        plan.wave_of(member).name,
        what_happens(plan, member, seen),
        ", ".join(seen.transports) if seen is not None and seen.transports else DASH,
        size(seen.bytes if seen is not None else None),
        seconds(seconds_of(plan, member)),
        ", ".join(member.after) or DASH,
        codes if codes.plain else DASH,
    )


def _wave(plan: Plan, each: WaveSum) -> tuple[RenderableType, ...]:
    wave = next((wave for wave in plan.waves if wave.name == each.name), None)
    windows = (wave.windows if wave is not None else None) or plan.defaults.get("windows") or ()
    told = [windows] if isinstance(windows, str) else [str(window) for window in windows]
    return (
        each.name,
        {"auto": "the plan", "manual": "a person"}.get(wave.approval, "") if wave is not None else "",
        ("\n".join(told) or "any time") if wave is not None else "",
        str(each.machines),
        str(each.disks),
        size(each.size),
        seconds(each.seconds),
        str(each.warnings),
        str(each.blocked),
    )


def plan_data(plan: Plan) -> dict[str, object]:
    """The same as data: bytes and seconds."""
    machines = plan.seen.machines if plan.seen is not None else {}
    return {
        "fleet": plan.fleet,
        "bytes_per_second": rate_of(plan)[0],
        "members": [
            {
                "vm": member.vm,
                "wave": plan.wave_of(member).name,
                "what": what_happens(plan, member, machines.get(member.vm)),
                "transports": list(machines[member.vm].transports) if member.vm in machines else [],
                "bytes": machines[member.vm].bytes if member.vm in machines else None,
                "seconds": seconds_of(plan, member),
                "after": list(member.after),
                "checks": [check.model_dump() for check in machines[member.vm].checks] if member.vm in machines else [],
            }
            for member in plan.members
        ],
        "waves": [
            {
                "name": each.name, "machines": each.machines, "disks": each.disks, "bytes": each.size,
                "seconds": each.seconds, "warned": each.warnings, "blocked": each.blocked,
            }
            for each in waves_of(plan)
        ],
    }  # fmt: skip
