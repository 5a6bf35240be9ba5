"""What migrations left on machines: our marks in extraConfig, our snapshots. What bears none of ours is not seen."""

from typing import Any

from contracts.errors import FerryError
from contracts.leftovers import Found, state_of
from contracts.machine import OwnerMark
from contracts.steps import FenceJournal
from platforms.vsphere import fencing, inventory, marks, overrides, snapshots, tracking
from platforms.vsphere.located import Located
from platforms.vsphere.properties import VM, read_all, read_one
from platforms.vsphere.session import Session

_PATHS = ("name", "config.instanceUuid", "config.extraConfig", "snapshot.rootSnapshotList", "runtime.powerState")
_KEEPS_IT_OFF = {
    "fence": (fencing.FENCE_KEY, "connects its NICs at start again"),
    "overrides": (overrides.OVERRIDES_KEY, "lets HA, DRS and auto-start do with it what they did before"),
}
"""Kind to the key by which the machine itself keeps it, and what taking it away does."""


def leftovers(session: Session, system: str, only: Located | None = None) -> list[Found]:
    """Of all machines, or of one."""
    if only is not None:
        return _of(system, read_one(session, only.ref, _PATHS, f"look at {only.name}"))
    return [
        found
        for _, properties in read_all(session, VM, _PATHS, "look for what Ferry left on VMs")
        if properties.get("config.instanceUuid")
        for found in _of(system, properties)
    ]


def _of(system: str, properties: dict[str, Any]) -> list[Found]:
    machine_id, name = properties["config.instanceUuid"], properties["name"]
    extra = inventory.extra_config(properties)
    owner = inventory.owner_of(extra)
    found: list[Found] = []

    def add(kind: str, removal: str, facts: Any, what: str = "", **more: Any) -> None:
        mark = owner if owner is not None else OwnerMark(migration="", workflow="")
        said = {"migration": mark.migration, "workflow": mark.workflow, **more}
        found.append(
            Found(
                id=f"{system}/{kind}/{machine_id}{what}",
                system=system,
                side="source",
                kind=kind,
                name=name,
                subject=machine_id,
                removal=removal,
                state=state_of(kind, facts, said["migration"]),
                **said,
            )
        )

    ours: dict[str, list[Any]] = {}
    for each in inventory.snapshots_of(properties):
        migration = inventory.migration_of(each)
        if migration is not None:
            ours.setdefault(migration, []).append(each)
    for migration, taken in ours.items():
        workflow = owner.workflow if owner is not None and owner.migration == migration else ""
        add(
            "snapshot", "removes our snapshot, and waits for its consolidation",
            [each.snapshot._moId for each in taken],
            f"/{migration[:8]}", migration=migration, workflow=workflow,
            since=min(each.createTime for each in taken),
        )  # fmt: skip
    if tracking.TRACKING_KEY in extra:
        add("tracking", "switches change tracking off, as it was before", extra[tracking.TRACKING_KEY])
    kept_off = {kind: extra[key] for kind, (key, _) in _KEEPS_IT_OFF.items() if key in extra}
    for kind, told in kept_off.items():
        if owner is not None:
            add(kind, _KEEPS_IT_OFF[kind][1], told, ask="it keeps the source off: where its copy runs, both would run")
        else:
            add(kind, "", told, keep="of a migration that was finished: the source is to stay off")
    if owner is not None:
        also = f"decide first about its {' and '.join(kept_off)}" if kept_off else ""
        add("mark", "clears the owner mark, so that another migration may begin", owner.epoch, ask=also)
    return found


def remove(session: Session, vm: Located, found: Found) -> None:
    """One of :func:`leftovers`. Others of its migration are left alone."""
    match found.kind:
        case "snapshot":
            snapshots.thaw(session, vm, found.migration)
        case "tracking":
            tracking.switch_off(session, vm)
        case "fence" | "overrides":
            owner = inventory.owner_of(inventory.extra_config(vm.properties(session)))
            if owner is None or owner.migration != found.migration:
                raise FerryError("gc.changed", f"{vm.name} bears another mark now")
            if found.kind == "fence":
                fencing.unfence(session, vm, FenceJournal(), owner)
            else:
                overrides.take_back(session, vm, owner)
        case "mark":
            marks.release(session, vm, found.migration)
        case _:
            raise FerryError("internal", f"nothing removes a {found.kind}")
