"""Preflight checks over a whole inventory: read in bulk, judged one by one."""

from functools import cache

from temporalio import activity

from activities.preflight import map_networks
from activities.running import in_thread
from activities.systems import Systems
from checks import Seen, run_checks
from checks.pinning import pinned
from contracts.assessment import (
    Assessed,
    AssessRequest,
    Grouped,
    Inventory,
    Page,
    PageOrder,
    Unread,
    Wanted,
    assessed,
    is_in,
    packed,
)
from contracts.assessment import unread as not_read
from contracts.errors import FerryError
from contracts.machine import Machine
from contracts.steps import SourceFacts
from platforms.ports import Source


class AssessmentActivities:
    """``find_machines`` and ``assess_machines`` change nothing."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def find_machines(self, request: AssessRequest) -> Inventory:
        """Which VMs there are, and what the target offers."""
        return await in_thread(lambda: self._find(request), pool=self._systems.pool)

    @activity.defn
    async def assess_machines(self, order: PageOrder) -> Page:
        """Read some of them, and tell what stands in their way."""
        return await in_thread(lambda: self._assess(order), pool=self._systems.pool)

    def _find(self, request: AssessRequest) -> Inventory:
        sources = [request.source] if request.source else sorted(self._systems.sources)
        target = self._systems.target(request.target).facts(request.sr) if request.target else None
        found: dict[str, tuple[str, ...]] = {}
        templates = 0
        for name in sources:
            source, wanted = self._systems.source(name), Wanted(request.vms)
            listed, left_out = source.names()
            refs = [each.ref for each in listed if wanted.has(each)]
            if request.tags or request.folders:
                groups = source.groups(refs, tags=bool(request.tags))
                if request.tags and (why := next((each.tags_unread for each in groups.values()), "")):
                    raise FerryError("preflight.tags_unread", f"nothing can be chosen by tags: {why}")
                refs = [ref for ref in refs if is_in(groups.get(ref, Grouped()), request.tags, request.folders)]
            found[name] = tuple(refs)
            templates += 0 if request.vms or request.tags or request.folders else left_out
        if not any(found.values()) and (request.vms or request.tags or request.folders):
            raise FerryError("vm.unknown", f"no VM of {' and '.join(sources)} {_chosen_by(request)}")
        return Inventory(
            machines=found,
            templates=templates,
            target=target,
            capacity=self._systems.capacity.flat(),
            bandwidth=self._systems.capacity.bandwidth,
        )

    def _assess(self, order: PageOrder) -> Page:
        source = self._systems.source(order.source)
        judge = _Judge(self._systems, source, order)
        return packed([judge.row(each) for each in source.whole_machines(order.refs)])


def _chosen_by(request: AssessRequest) -> str:
    """``is called web*, has the tag prod``: the words of the choice, of which there may be thousands."""
    said = (("is called", request.vms), ("has the tag", request.tags), ("is in the folder", request.folders))
    return ", ".join(
        f"{verb} {' or '.join(words[:20])}{' …' if len(words) > 20 else ''}" for verb, words in said if words
    )


class _Judge:
    """Runs the checks; what many VMs share is asked for once."""

    def __init__(self, systems: Systems, source: Source, order: PageOrder) -> None:
        self._source, self._order = source, order
        self._target = systems.target(order.request.target) if order.request.target else None
        self._template = cache(self._template_for)
        self._facts: dict[tuple[str, ...], SourceFacts] = {}
        self._groups = source.groups(order.refs, tags=True) if order.request.pins else {}
        self._allocated = source.allocated(order.refs) if order.request.pins else {}

    def row(self, found: Machine | Unread) -> Assessed:
        """A VM that cannot be judged is a row with its code."""
        if isinstance(found, Unread):
            return not_read(self._order.source, found)
        try:
            return self._judged(found)
        except FerryError as error:
            lack = Unread(ref=found.ref, name=found.name, code=error.code, message=error.message)
            return not_read(self._order.source, lack)

    def _judged(self, machine: Machine) -> Assessed:
        target = self._order.target
        networks: dict[str, str] = {}
        unmapped: list[str] = []
        if target is not None:
            wanted = {**target.configured_networks, **self._order.request.networks}
            networks, unmapped = map_networks(machine, wanted, target.networks)
        if machine.read_only and machine.owner is None and self._target is not None:  # as the preflight does
            machine = machine.model_copy(update={"owner": self._target.other_owner(machine.machine_id, "")})
        seen = Seen(
            machine=machine,
            source=self._facts_of(machine),
            target=target,
            sr=self._order.request.sr,
            networks=networks,
            unmapped=tuple(unmapped),
            template=self._template(machine.guest_os),
            asked_template=self._order.request.template or "",
            approved_steps=self._order.request.approved_steps,
        )
        row = assessed(machine, checks := run_checks(seen))
        if not self._order.request.pins:
            return row
        group = self._groups.get(machine.ref, Grouped())
        pins = pinned(seen, checks, self._allocated.get(machine.ref)).model_copy(
            update={"folder": group.folder, "tags": group.tags}
        )
        return row.model_copy(update={"pinned": pins})

    def _facts_of(self, machine: Machine) -> SourceFacts:
        """Of the first VM of each host: a call or more for each of 5,000 would take as long as all else together.

        A plan tells by what each disk is read, so there it is the first VM of each host with the same datastores.
        """
        stores = {disk.datastore for disk in machine.disks} if self._order.request.pins else ()
        like = (machine.host, *sorted(stores))
        if like not in self._facts:
            self._facts[like] = self._source.facts(machine)
        return self._facts[like]

    def _template_for(self, guest_os: str) -> str:
        asked = self._order.request.template or ""
        return self._target.template_for(guest_os, asked) if self._target is not None else ""
