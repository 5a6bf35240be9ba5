"""What could switch a machine on by itself, off for that machine alone: HA's restart, DRS, a host's auto-start.

Each is an override of one machine, whose way back is noted in its extraConfig before it is made (SAFETY 16).
"""

import json
from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.machine import OwnerMark
from contracts.steps import FenceJournal
from platforms.vsphere import inventory
from platforms.vsphere.configuring import PATIENCE, options, reconfigure
from platforms.vsphere.located import Located
from platforms.vsphere.marks import see_that_it_is_ours
from platforms.vsphere.properties import finished, read_one
from platforms.vsphere.session import Session

OVERRIDES_KEY = "ferry.overrides"
"""extraConfig: name of an override to what was there before (JSON; null: none)."""

_AUTOSTART = ("startOrder", "startDelay", "waitForHeartbeat", "startAction", "stopDelay", "stopAction")
_NOT_OURS_TO_SET = ("vsphere.no_permission", "vsphere.licence", "vsphere.fault")

Kept = dict[str, Any]


def override(session: Session, vm: Located, mark: OwnerMark) -> FenceJournal:
    """See to it that nothing but a person switches the machine on. Raises ``source.stale_epoch``.

    What the account may not override stays as it is, and the journal says so: the NICs are disconnected all the same.
    """
    properties = vm.properties(session)
    see_that_it_is_ours(vm, properties, mark)
    kept = _kept(properties)
    changes: dict[str, str] = {}
    left: list[str] = []
    for name, (before, change) in _found(session, vm, properties).items():
        try:
            if name not in kept:
                kept[name] = before
                _note(session, vm, kept, properties)
                properties = vm.properties(session)
            change(None)
            changes[name] = "off"
        except FerryError as error:
            if error.code not in _NOT_OURS_TO_SET:
                raise
            left.append(f"{name}: {error.message}")
            kept.pop(name, None)
            _note(session, vm, kept, properties)
            properties = vm.properties(session)
    return FenceJournal(changes=changes, left=tuple(left))


def take_back(session: Session, vm: Located, mark: OwnerMark) -> None:
    """As it was before, by what the machine itself keeps. Raises ``source.stale_epoch``."""
    properties = vm.properties(session)
    see_that_it_is_ours(vm, properties, mark)
    kept = _kept(properties)
    if not kept:
        return
    for name, (_, change) in _found(session, vm, properties, known=kept).items():
        if name in kept:
            change(kept[name] or {})
    _note(session, vm, {}, vm.properties(session))


def _note(session: Session, vm: Located, kept: Kept, properties: dict[str, Any]) -> None:
    """With the version at which the epoch was read (SAFETY 14)."""
    told = json.dumps(kept, sort_keys=True) if kept else ""
    if told != inventory.extra_config(properties).get(OVERRIDES_KEY, ""):
        spec = vim.vm.ConfigSpec(
            extraConfig=options({OVERRIDES_KEY: told}), changeVersion=properties["config.changeVersion"]
        )
        reconfigure(session, vm, spec, "note its overrides")


def _kept(properties: dict[str, Any]) -> Kept:
    told = inventory.extra_config(properties).get(OVERRIDES_KEY, "")
    try:
        found = json.loads(told) if told else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _found(
    session: Session, vm: Located, properties: dict[str, Any], known: Kept | None = None
) -> dict[str, tuple[Kept | None, Callable[[Kept | None], None]]]:
    """Name to what is there now, and how it is changed: None switches it off, a dict puts that back ({}: nothing).

    Args:
        known: what was overridden before: looked at even where the service is off by now.
    """
    host = properties.get("runtime.host")
    if host is None:
        return {}
    told = read_one(session, host, ["parent", "configManager.autoStartManager"], f"find the host of {vm.name}")
    found: dict[str, tuple[Kept | None, Callable[[Kept | None], None]]] = {}
    cluster = told.get("parent")
    if isinstance(cluster, vim.ClusterComputeResource):
        found |= _of_cluster(session, vm, cluster, known or {})
    manager = told.get("configManager.autoStartManager")
    if manager is not None:
        found |= _of_host(session, vm, manager, known or {})
    return found


def _of_cluster(session: Session, vm: Located, cluster: Any, known: Kept) -> dict[str, Any]:
    config = read_one(session, cluster, ["configurationEx"], "read the cluster").get("configurationEx")
    if config is None:
        return {}
    ha = next((each for each in config.dasVmConfig or [] if each.key._moId == vm.ref._moId), None)
    drs = next((each for each in config.drsVmConfig or [] if each.key._moId == vm.ref._moId), None)

    def change_ha(wanted: Kept | None) -> None:
        priority = "disabled" if wanted is None else wanted.get("restartPriority", "")
        info = ha or vim.cluster.DasVmConfigInfo(key=vm.ref)
        info.restartPriority = None
        info.dasSettings = info.dasSettings or vim.cluster.DasVmSettings()
        info.dasSettings.restartPriority = priority
        spec = _spec(vim.cluster.DasVmConfigSpec, vm, info, there=ha is not None, gone=wanted == {})
        if spec is not None:
            _reconfigure_cluster(session, cluster, vim.cluster.ConfigSpecEx(dasVmConfigSpec=[spec]), "HA", vm)

    def change_drs(wanted: Kept | None) -> None:
        info = drs or vim.cluster.DrsVmConfigInfo(key=vm.ref)
        info.enabled = False if wanted is None else bool(wanted.get("enabled", True))
        spec = _spec(vim.cluster.DrsVmConfigSpec, vm, info, there=drs is not None, gone=wanted == {})
        if spec is not None:
            _reconfigure_cluster(session, cluster, vim.cluster.ConfigSpecEx(drsVmConfigSpec=[spec]), "DRS", vm)

    found: dict[str, Any] = {}
    if config.dasConfig.enabled or "HA restart" in known:
        before = None
        if ha is not None:
            settings = ha.dasSettings
            before = {"restartPriority": (settings.restartPriority if settings else ha.restartPriority) or "medium"}
        found["HA restart"] = (before, change_ha)
    if config.drsConfig.enabled or "DRS" in known:
        found["DRS"] = (None if drs is None else {"enabled": drs.enabled is not False}, change_drs)
    return found


def _spec(kind: Any, vm: Located, info: Any, *, there: bool, gone: bool) -> Any | None:
    """None where there is nothing to do: the override that shall go is not there."""
    if gone:
        return kind(operation="remove", removeKey=vm.ref) if there else None
    return kind(operation="edit" if there else "add", info=info)


def _reconfigure_cluster(session: Session, cluster: Any, spec: Any, what: str, vm: Located) -> None:
    doing = f"override {what} for {vm.name}"
    task = session.call(
        doing,
        lambda instance: vim.ClusterComputeResource(cluster._moId, instance._stub).ReconfigureComputeResource_Task(
            spec, True
        ),
        repeat=False,
    )
    finished(session, task, doing, patience=PATIENCE)


def _of_host(session: Session, vm: Located, manager: Any, known: Kept) -> dict[str, Any]:
    config = read_one(session, manager, ["config"], "read the host's auto-start").get("config")
    info = next((each for each in (config.powerInfo if config else None) or [] if each.key._moId == vm.ref._moId), None)
    if info is None or (info.startAction.lower() != "poweron" and "auto-start" not in known):
        return {}
    before = {name: getattr(info, name) for name in _AUTOSTART}

    def change(wanted: Kept | None) -> None:
        # A machine that is not started has no place in the order.
        values = {**before, "startAction": "none", "startOrder": -1} if wanted is None else {**before, **wanted}
        made = vim.host.AutoStartManager.AutoPowerInfo(key=vm.ref, **values)
        session.call(
            f"take {vm.name} off the host's auto-start",
            lambda instance: vim.host.AutoStartManager(manager._moId, instance._stub).ReconfigureAutostart(
                vim.host.AutoStartManager.Config(powerInfo=[made])
            ),
        )

    return {"auto-start": (before, change)}
