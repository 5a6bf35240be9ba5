"""A machine as a plan pins it."""

from collections.abc import Mapping, Sequence

from checks.registry import NOTE
from checks.seen import Seen
from checks.transports import why_not
from contracts.plan_seen import PinnedCheck, PinnedDisk, PinnedNic, PinnedVm
from contracts.steps import Check

RECKONED = frozenset(
    {"preflight.unmapped_network", "preflight.unknown_sr", "preflight.sr_too_small", "preflight.sr_overcommitted"}
)
"""What a plan reckons itself, for all its VMs together and whenever somebody has edited it."""


def pinned(seen: Seen, checks: Sequence[Check], allocated: Mapping[int, int] | None = None) -> PinnedVm:
    """Notes are left out: they come and go with the pool's hosts, and change nothing for the machine.

    Args:
        allocated: device key to bytes, where the source told.
    """
    machine, known = seen.machine, allocated or {}
    disks = tuple(
        PinnedDisk(
            disk_id=disk.disk_id, slot=disk.slot, capacity=disk.capacity, datastore=disk.datastore,
            datastore_type=disk.datastore_type, allocated=known.get(disk.key),
            transport=next((way for way, why in why_not(seen, disk).items() if not why), ""),
        )
        for disk in machine.disks
    )  # fmt: skip
    return PinnedVm(
        name=machine.name,
        machine_id=machine.machine_id,
        ref=machine.ref,
        source=machine.source,
        power=machine.power.value,
        firmware=machine.firmware.value,
        warm=machine.change_tracking_supported and not machine.read_only and machine.power.value == "on",
        cpus=machine.cpus,
        memory=machine.memory,
        host=machine.host,
        tags=machine.tags,
        disks=disks,
        nics=tuple(PinnedNic(mac=nic.mac, network=nic.network) for nic in machine.nics),
        foreign_snapshots=machine.foreign_snapshots,
        bytes=sum(disk.capacity if disk.allocated is None else min(disk.capacity, disk.allocated) for disk in disks),
        checks=tuple(
            PinnedCheck(
                code=each.code, severity=each.severity, message=each.message[:300], overridable=each.overridable
            )
            for each in checks
            if each.severity != NOTE and each.code not in RECKONED
        ),
    )
