"""What is otherwise than a plan saw it. Pure: of what was pinned and what is seen now.

What moves by itself and changes nothing for a migration is no difference: the host that runs a VM, a datastore's or an
SR's free room (as long as the plan fits), codes that are said no more.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.plan import Plan
from contracts.plan_seen import PinnedDisk, PinnedSr, PinnedTarget, PinnedVm, PlanSeen
from contracts.sizes import spoken_size
from starter.planning.looking import Looked


@dataclass(frozen=True)
class Difference:
    """One fact. ``about``: a VM or a pool; an empty ``now``: it is not there any more."""

    about: str
    what: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.about}: {self.what}: {self.was or 'none'} → {self.now or 'none'}"


def differences(plan: Plan, now: Looked) -> list[Difference]:
    """Of its VMs in their order, then of its pools. A plan that saw nothing differs in nothing: look for that first."""
    before = plan.seen
    if before is None:
        return []
    found: list[Difference] = []
    for member in plan.members:
        pinned = before.machines.get(member.vm)
        if pinned is None:
            continue
        if member.vm in now.several:
            found.append(Difference(member.vm, "VMs of that name", "1", ", ".join(now.several[member.vm])))
        elif member.vm in now.seen.machines:
            found += _of_vm(member.vm, pinned, now.seen.machines[member.vm])
        else:
            found.append(Difference(member.vm, "the VM", pinned.machine_id or pinned.name, ""))
    return [*found, *_of_pools(before, now.seen)]


def unpinned(plan: Plan) -> list[str]:
    """Members of which nothing was pinned."""
    machines = plan.seen.machines if plan.seen is not None else {}
    return [member.vm for member in plan.members if member.vm not in machines]


def _of_vm(vm: str, was: PinnedVm, now: PinnedVm) -> Iterator[Difference]:
    plain = (
        ("another VM of that name", was.machine_id, now.machine_id),
        ("name", was.name, now.name),
        ("power", was.power, now.power),
        ("firmware", was.firmware, now.firmware),
        ("snapshots of other people", ", ".join(was.foreign_snapshots), ", ".join(now.foreign_snapshots)),
    )
    for what, before, after in plain:
        if before != after:
            yield Difference(vm, what, before, after)
    yield from _of_parts(
        vm, "disk", {disk.slot: _disk(disk) for disk in was.disks}, {disk.slot: _disk(disk) for disk in now.disks}
    )
    yield from _of_parts(
        vm,
        "NIC",
        {nic.mac: f"on {nic.network!r}" for nic in was.nics},
        {nic.mac: f"on {nic.network!r}" for nic in now.nics},
    )
    known = {each.code: each.severity for each in was.checks}
    for check in now.checks:
        before = known.setdefault(check.code, "")
        if before != check.severity and before != "blocker":
            yield Difference(vm, check.code, before, f"{check.severity}: {check.message}")
            known[check.code] = check.severity


def _of_parts(vm: str, what: str, was: dict[str, str], now: dict[str, str]) -> Iterator[Difference]:
    for key in dict.fromkeys((*was, *now)):
        before, after = was.get(key, ""), now.get(key, "")
        if before != after:
            yield Difference(vm, f"{what} {key}", before, after)


def _disk(disk: PinnedDisk) -> str:
    return f"{spoken_size(disk.capacity)} ({disk.capacity} bytes, {disk.disk_id})"


def _of_pools(was: PlanSeen, now: PlanSeen) -> Iterator[Difference]:
    for name, before in sorted(was.targets.items()):
        after = now.targets.get(name)
        if after is None:
            continue
        if before.pool != after.pool:
            yield Difference(name, "pool", before.pool, after.pool)
        yield from _of_srs(name, before, after)
        for network in sorted(before.networks):
            if before.networks[network] != after.networks.get(network):
                yield Difference(name, f"network {network}", before.networks[network], after.networks.get(network, ""))


def _of_srs(target: str, was: PinnedTarget, now: PinnedTarget) -> Iterator[Difference]:
    for key, before in sorted(was.srs.items()):
        after = now.srs.get(key)
        if after is not None and (before.uuid, before.type) != (after.uuid, after.type):
            named = f"SR {key}" if key else "default SR"
            yield Difference(target, named, _sr(before), _sr(after))


def _sr(sr: PinnedSr) -> str:
    return f"{sr.name} ({sr.type}, {sr.uuid})" if sr.uuid else ""
