"""Settings that have no counterpart on the target, or stand in the way of a freeze."""

from collections.abc import Iterator

from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen
from contracts.sizes import spoken_size


@check("preflight.fault_tolerance", BLOCKER, overridable=True)
def fault_tolerance(seen: Seen) -> Iterator[str]:
    """vSphere takes no snapshot of it."""
    if seen.machine.settings.fault_tolerant:
        yield "Fault Tolerance is on, which forbids snapshots"


@check("preflight.managed_by", WARNING)
def managed_by(seen: Seen) -> Iterator[str]:
    """Whoever made it makes it again, or breaks without it."""
    if seen.machine.settings.managed_by:
        yield f"it belongs to the vCenter extension {seen.machine.settings.managed_by}"


@check("preflight.encrypted_vm", WARNING)
def encrypted_vm(seen: Seen) -> Iterator[str]:
    """Its disks may be clear all the same; those that are not have a code of their own."""
    if seen.machine.settings.encrypted_home:
        yield "its configuration is encrypted, and vSphere exports no such VM: nfc will refuse"


@check("preflight.replicated", NOTE)
def replicated(seen: Seen) -> Iterator[str]:
    """Nobody will replicate the target."""
    if seen.machine.settings.replicated:
        yield "vSphere Replication copies it elsewhere; that ends with the source"


@check("preflight.vapp_properties", WARNING)
def vapp_properties(seen: Seen) -> Iterator[str]:
    """Appliances read their configuration from them at boot."""
    told = seen.machine.settings.vapp_properties
    if told:
        yield f"OVF properties are not moved: {', '.join(told[:10])}"


@check("preflight.in_vapp", NOTE)
def in_vapp(seen: Seen) -> Iterator[str]:
    """With its order of start."""
    if seen.machine.settings.vapp:
        yield f"it is part of a vApp ({seen.machine.settings.vapp}), whose order of start is lost"


@check("preflight.nested_virtualization", WARNING)
def nested_virtualization(seen: Seen) -> Iterator[str]:
    """Not supported on the target."""
    if seen.machine.settings.nested:
        yield "it may run VMs itself, which the target does not offer"


@check("preflight.vbs", WARNING)
def vbs(seen: Seen) -> Iterator[str]:
    """Needs nested virtualization."""
    if seen.machine.settings.vbs:
        yield "Windows' virtualization-based security (Credential Guard among it) will not run"


@check("preflight.cpu_affinity", WARNING)
def cpu_affinity(seen: Seen) -> Iterator[str]:
    """Mostly there for a licence."""
    told = seen.machine.settings.cpu_affinity
    if told:
        yield f"pinned to CPUs {', '.join(map(str, told[:16]))}; the target is not"


@check("preflight.numa_affinity", NOTE)
def numa_affinity(seen: Seen) -> Iterator[str]:
    """Xen places it itself."""
    if seen.machine.settings.numa_affinity:
        yield f"tied to NUMA nodes {seen.machine.settings.numa_affinity}; the target is not"


@check("preflight.hot_add", NOTE)
def hot_add(seen: Seen) -> Iterator[str]:
    """The target's CPUs and memory are fixed while it runs."""
    settings = seen.machine.settings
    told = [name for name, on in (("CPUs", settings.cpu_hot_add), ("memory", settings.memory_hot_add)) if on]
    if told:
        yield f"{' and '.join(told)} can be added while it runs, on the target not"


@check("preflight.reservation", NOTE)
def reservation(seen: Seen) -> Iterator[str]:
    """XCP-ng always gives a VM all of its memory; CPUs have weights only."""
    settings = seen.machine.settings
    told = [f"{settings.cpu_reservation} MHz"] if settings.cpu_reservation else []
    told += [f"{spoken_size(settings.memory_reservation)} of memory"] if settings.memory_reservation else []
    if told:
        yield f"reserved: {', '.join(told)}; the target has no such setting"


@check("preflight.latency_sensitive", NOTE)
def latency_sensitive(seen: Seen) -> Iterator[str]:
    """No counterpart."""
    if seen.machine.settings.latency == "high":
        yield "its latency sensitivity is high; the target has no such setting"
