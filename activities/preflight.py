"""Reading both sides before anything is touched. What is made of it: :mod:`checks`."""

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from checks import Seen, run_checks
from contracts.capacity import resources_of
from contracts.machine import Machine
from contracts.steps import Preflight, PreflightOrder


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
        networks, unmapped = map_networks(machine, {**facts.configured_networks, **order.networks}, facts.networks)
        seen = Seen(
            machine=machine,
            source=source.facts(machine),
            target=facts,
            migration=order.errand.migration,
            sr=order.sr,
            networks=networks,
            unmapped=tuple(unmapped),
            template=target.template_for(machine.guest_os, order.template or ""),
            asked_template=order.template or "",
            vmware_tools=order.vmware_tools,
            approved_steps=order.approved_steps,
            segment_bytes=order.segment_bytes,
            bandwidths=(
                order.bandwidth,
                self._systems.limits.bandwidth,
                *self._systems.limits.budgets_of(order.errand).values(),
            ),
            smoke=order.smoke,
        )
        return Preflight(
            machine=machine,
            checks=tuple(run_checks(seen, order.overrides)),
            store_id=self._systems.store.id,
            pool=facts.pool,
            sr_uuid=facts.sr_uuid,
            sr_name=facts.sr_name,
            networks=networks,
            template=seen.template,
            warm=machine.change_tracking_supported and not machine.read_only,
            limits=self._systems.capacity.limits_of(
                _resources_of(machine, order.errand.target, facts.sr_name, self._systems.site)
            ),
        )


def _resources_of(machine: Machine, target: str, sr: str, site: str) -> tuple[str, ...]:
    stores = [disk.datastore for disk in machine.disks]
    return resources_of(machine.source, target, sr, machine.host or "", stores, site)


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
