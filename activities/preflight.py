"""Reading both sides before anything is touched."""

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.machine import Machine, Power
from contracts.sizes import spoken_size
from contracts.steps import Check, Preflight, PreflightOrder, TargetFacts

"""Bytes: what xapi enforces for VHD (xapi.md §1.14)."""


class PreflightActivities:
    """``preflight``: every check yields nothing, a note, a warning or a blocker."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def preflight(self, order: PreflightOrder) -> Preflight:
        """Read the machine and the pool, and tell what stands in the way."""
        return await in_thread(lambda: self._look(order), pool=self._systems.pool)

    def _look(self, order: PreflightOrder) -> Preflight:
        source = self._systems.source(order.errand.source)
        target = self._systems.target(order.errand.target)
        machine = source.machine(order.errand.vm)
        if machine.read_only and machine.owner is None:  # then its shell bears the mark (SAFETY 12)
            rival = target.other_owner(machine.machine_id, order.errand.migration)
            machine = machine.model_copy(update={"owner": rival})
        facts = target.facts(order.sr)
        template = target.template_for(machine.guest_os)
        networks, unmapped = map_networks(machine, {**facts.configured_networks, **order.networks}, facts.networks)
        checks = [
            *machine_checks(machine, order.errand.migration),
            *target_checks(machine, facts, order.sr, template),
            *(
                Check(
                    code="preflight.unmapped_network",
                    severity="blocker",
                    message=f"network {name!r} has no counterpart in pool {facts.pool}",
                )
                for name in unmapped
            ),
        ]
        return Preflight(
            machine=machine,
            checks=tuple(checks),
            store_id=self._systems.store.id,
            pool=facts.pool,
            sr_uuid=facts.sr_uuid,
            sr_name=facts.sr_name,
            networks=networks,
            template=template,
            warm=machine.change_tracking_supported and not machine.read_only,
        )


def map_networks(machine: Machine, wanted: dict[str, str], known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Each network of the machine to the uuid of its counterpart; and those that have none.

    Args:
        wanted: source network to target network (name or uuid); ``*`` stands for the rest.
        known: target network's name or uuid to its uuid.
    """
    mapped: dict[str, str] = {}
    unmapped: list[str] = []
    for name in dict.fromkeys(nic.network for nic in machine.nics):
        counterpart = wanted.get(name) or wanted.get("*")
        if counterpart is not None and counterpart in known:
            mapped[name] = known[counterpart]
        else:
            unmapped.append(name)
    return mapped, unmapped


def machine_checks(machine: Machine, migration: str) -> list[Check]:
    """What the source side has against it."""
    found: list[Check] = []

    def say(code: str, severity: str, message: str) -> None:
        found.append(Check(code=code, severity=severity, message=message))

    if machine.owner is not None and machine.owner.migration != migration:
        say("vm.already_migrating", "blocker", f"{machine.name} bears the mark of {machine.owner.workflow}")
    if not machine.disks:
        say("preflight.no_disks", "blocker", f"{machine.name} has no disk")
    for disk in machine.disks:
        if disk.obstacle is not None:
            say(disk.obstacle, "blocker", f"disk {disk.slot} ({disk.file})")
    if machine.power is Power.SUSPENDED:
        say("preflight.suspended", "blocker", f"{machine.name} is suspended")
    names = ", ".join(machine.foreign_snapshots[:5])
    if machine.read_only and machine.power is Power.ON:
        say("preflight.free_licence_running", "blocker", f"{machine.name} is on")
    elif machine.read_only:
        say("preflight.free_licence", "warning", f"nothing keeps {machine.name} off but you: leave it off")
    if machine.read_only and names:
        say("preflight.free_licence_snapshots", "blocker", f"{machine.name} has snapshots: {names}")
    elif names:
        say("vsphere.foreign_snapshot", "warning", f"{machine.name} has snapshots that are not Ferry's: {names}")
    if machine.needs_consolidation:
        say("vsphere.consolidation_needed", "blocker", f"{machine.name} has disks that need consolidation")
    if not machine.change_tracking_supported:
        say("preflight.no_change_tracking", "warning", "the copy is made while the machine is off")
    if machine.power is Power.ON and not machine.tools_running:
        say("preflight.tools_not_running", "warning", "the guest cannot be asked to shut down")
    if machine.mounted_iso:
        say("preflight.iso_mounted", "note", f"{machine.mounted_iso} stays behind")
    if machine.tags_unread:
        say("preflight.tags_unread", "note", f"the target gets no tags: {machine.tags_unread}")
    if machine.secure_boot:
        say("preflight.secure_boot", "warning", "Secure Boot is off on the target")
    return found


def target_checks(machine: Machine, facts: TargetFacts, sr: str | None, template: str) -> list[Check]:
    """What the pool has against it."""
    if not facts.sr_uuid:
        named = f"no SR is called {sr!r}" if sr else "no SR was named and the pool has no default"
        told = f"{named}; pool {facts.pool} has {', '.join(facts.srs) or 'none'}"
        return [Check(code="preflight.unknown_sr", severity="blocker", message=told)]
    found = [
        Check(
            code="preflight.disk_too_large", severity="blocker",
            message=f"disk {disk.slot} has {spoken_size(disk.capacity)}, "
            f"SR {facts.sr_name} takes {spoken_size(facts.disk_most)}",
        )
        for disk in machine.disks
        if disk.capacity > facts.disk_most
    ]  # fmt: skip
    # A snapshot is taken before the start: a thick SR reserves every disk twice (xapi.md §3.8).
    thick = facts.sr_type.startswith("lvm")
    wanted = sum(disk.capacity for disk in machine.disks) * (2 if thick else 1)
    if wanted > facts.sr_free:
        short = f"SR {facts.sr_name} has {spoken_size(facts.sr_free)} free, {spoken_size(wanted)} may be needed"
        found.append(Check(code="preflight.sr_too_small", severity="blocker" if thick else "warning", message=short))
    if not template:
        found.append(Check(code="preflight.no_template", severity="blocker", message=f"pool {facts.pool}"))
    return found
