"""What migrations that are over have left behind, found and removed: `ferry gc`."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from temporalio import activity

from activities.owners import Owner, Owners
from activities.running import as_application_error, in_thread
from activities.systems import Systems
from contracts.errors import FerryError
from contracts.leftovers import (
    Found,
    Leftover,
    LeftoverReport,
    LookForLeftovers,
    Removal,
    RemoveLeftover,
    Unseen,
)
from platforms.ports import Source, Target

MOST = 2000
"""Things in one answer: Temporal takes two megabytes."""
STORE = "store"


class LeftoverActivities:
    """``find_leftovers`` changes nothing; ``remove_leftover`` takes away one thing, after a last look at it."""

    def __init__(self, systems: Systems, owners: Callable[[], Owners] | None = None) -> None:
        self._systems = systems
        self._owners = owners or (lambda: Owners(activity.client(), systems.store))

    @activity.defn
    async def find_leftovers(self, _: LookForLeftovers) -> LeftoverReport:
        """Everything that bears a mark of Ferry, with what is known of its owner."""
        unseen: list[Unseen] = []
        found = await in_thread(lambda: self._everywhere(unseen), pool=self._systems.pool)
        items = await self._owned(found)
        items.sort(key=lambda each: (each.sort != "leftover", each.sort, each.id))
        return LeftoverReport(items=tuple(items[:MOST]), unseen=tuple(unseen), cut=max(0, len(items) - MOST))

    @activity.defn
    async def remove_leftover(self, said: RemoveLeftover) -> Removal:
        """One thing. What may be tried again (a pool that does not answer) is an error, the rest is told."""
        item = said.item
        try:
            now = await in_thread(lambda: self._look_again(item), pool=self._systems.pool)
            if now is None:
                return Removal(id=item.id, outcome="gone", message="it is not there any more, or is in use now")
            [judged] = await self._owned([now])
            _check(judged, said)
            await in_thread(lambda: self._remove(judged), pool=self._systems.pool)
        except FerryError as error:
            return _refused(item, error.code, error.message)
        except Exception as error:
            code = getattr(error, "type", None)
            if not code or not getattr(error, "non_retryable", False):
                raise
            return _refused(item, code, str(getattr(error, "message", error)))
        return Removal(id=item.id, outcome="removed")

    # -- looking

    def _everywhere(self, unseen: list[Unseen]) -> list[Found]:
        found: list[Found] = []
        systems: list[tuple[str, Source | Target]] = [
            *sorted(self._systems.sources.items()),
            *sorted(self._systems.targets.items()),
        ]
        for name, system in systems:
            try:
                found += system.leftovers()
            except FerryError as error:
                unseen.append(Unseen(system=name, code=error.code, message=error.message))
        try:
            found += [_kept(migration) for migration in self._systems.store.migrations()]
        except FerryError as error:
            unseen.append(Unseen(system=STORE, code=error.code, message=error.message))
        return found

    def _look_again(self, item: Found) -> Found | None:
        if item.side == "store":
            raise FerryError("gc.needs_yes", "what the store keeps is not removed by gc: verify and reports need it")
        if item.side == "source":
            try:
                found = self._systems.source(item.system).leftovers(item.subject)
            except FerryError as error:
                if error.code != "vm.gone":
                    raise
                found = []
        else:
            found = self._systems.target(item.system).leftovers()
        return next((each for each in found if each.id == item.id), None)

    async def _owned(self, found: Iterable[Found]) -> list[Leftover]:
        try:
            owners = self._owners()
            return [judged(each, await owners.of(each.migration, each.workflow), datetime.now(UTC)) for each in found]
        except FerryError as error:
            raise as_application_error(error) from None

    # -- removing

    def _remove(self, item: Leftover) -> None:
        systems = self._systems
        if item.side == "target":
            systems.target(item.system).remove_leftover(item)
            return
        if item.kind in ("fence", "overrides"):  # never two that run (promise 1)
            for name in sorted(systems.targets):
                if systems.target(name).runs(item.migration):
                    raise FerryError("gc.target_runs", f"{item.name} runs on {name}")
        systems.source(item.system).remove_leftover(item)


def judged(found: Found, owner: Owner, now: datetime) -> Leftover:
    """Of which sort it is. Pure."""
    sort, reason = "leftover", "ours, and its migration is over"
    if owner.state == "living":
        sort, reason = "living", owner.outcome or "its migration goes on"
    elif found.keep:
        sort, reason = "keep", found.keep
    elif found.holds_data:
        sort, reason = "data", "it holds copied data"
    elif found.ask:
        sort, reason = "ask", found.ask
    elif owner.state == "unknown":
        sort, reason = "ask", "neither Temporal nor the store knows its owner: it may be another Ferry's"
    if sort in ("data", "keep") and owner.state == "unknown":
        reason += "; its owner is not known here"
    since = found.since or owner.ended
    plain = found.model_dump(exclude={"workflow"})
    return Leftover.model_validate(
        {
            **plain, "workflow": found.workflow or owner.workflow, "sort": sort, "reason": reason, "owner": owner.state,
            "since": since, "age_s": round((now - since).total_seconds(), 1) if since is not None else None,
        }
    )  # fmt: skip


def _check(item: Leftover, said: RemoveLeftover) -> None:
    """Whether it may go, as it is now."""
    if item.sort == "living":
        raise FerryError("gc.owner_lives", f"{item.name}: {item.reason} ({item.workflow or item.migration})")
    if item.state != said.item.state or item.migration != said.item.migration:
        raise FerryError("gc.changed", f"{item.name} is not as it was when it was listed")
    yes = {"leftover": True, "ask": said.named, "data": said.named and said.data}.get(item.sort, False)
    if not yes:
        raise FerryError("gc.needs_yes", f"{item.name}: {item.reason}")


def _refused(item: Found, code: str, message: str) -> Removal:
    refused = code.startswith("gc.")
    return Removal(id=item.id, outcome="refused" if refused else "failed", code=code, message=message)


def _kept(migration: str) -> Found:
    return Found(
        id=f"{STORE}/journal/{migration}", system=STORE, side="store", kind="journal", name=migration,
        migration=migration, keep="digests, journals and the record: `ferry verify` and `ferry report` need them",
    )  # fmt: skip
