"""Reading by PropertyCollector: leaf paths, in pages; never by attribute, a round trip each (vsphere.md §5)."""

import time
from collections.abc import Sequence
from typing import Any

from pyVmomi import vim, vmodl

from contracts.errors import FerryError
from platforms.vsphere.faults import translated
from platforms.vsphere.session import Session

pc: Any = vmodl.query.PropertyCollector
PAGE = 250
FIRST_POLL, MOST_POLL = 0.1, 5.0
"""Seconds between two looks at a task: a removal may take hours, and nobody asks a vCenter five times a second."""
SILENCE = 120.0
"""Seconds in which a host may answer nothing (hostd restarts) while one of its tasks is awaited."""


def read_one(session: Session, ref: Any, paths: Sequence[str], doing: str) -> dict[str, Any]:
    """The properties of one object that are set.

    Raises:
        FerryError: ``vm.gone`` when it is not there; ``vsphere.no_permission`` when a property may not be read,
            since a mark or a snapshot that is not seen is not one that is not there.
    """
    objects = [pc.ObjectSpec(obj=ref, skip=False)]
    found = session.call(
        doing, lambda instance: _pages(instance.RetrieveContent(), objects, type(ref), paths, whole=True)
    )
    if not found:
        raise FerryError("vm.gone", f"cannot {doing}: it is not there")
    return found[0][1]


def read_some(
    session: Session, refs: Sequence[Any], kind: Any, paths: Sequence[str], doing: str
) -> list[tuple[Any, dict[str, Any]]]:
    """These objects of a kind, in one call, with the properties that are set and may be read."""
    if not refs:
        return []
    objects = [pc.ObjectSpec(obj=ref, skip=False) for ref in refs]
    return session.call(doing, lambda instance: _pages(instance.RetrieveContent(), objects, kind, paths))


def read_all(session: Session, kind: Any, paths: Sequence[str], doing: str) -> list[tuple[Any, dict[str, Any]]]:
    """Every object of a kind, with the properties that are set."""

    def work(instance: Any) -> list[tuple[Any, dict[str, Any]]]:
        content = instance.RetrieveContent()
        view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
        try:
            step = pc.TraversalSpec(name="view", path="view", skip=False, type=type(view))
            return _pages(content, [pc.ObjectSpec(obj=view, skip=True, selectSet=[step])], kind, paths)
        finally:
            view.Destroy()

    return session.call(doing, work)


def _pages(
    content: Any, objects: list[Any], kind: Any, paths: Sequence[str], *, whole: bool = False
) -> list[tuple[Any, dict[str, Any]]]:
    collector = content.propertyCollector
    spec = pc.FilterSpec(objectSet=objects, propSet=[pc.PropertySpec(type=kind, all=False, pathSet=list(paths))])
    found: list[tuple[Any, dict[str, Any]]] = []
    page = collector.RetrievePropertiesEx([spec], pc.RetrieveOptions(maxObjects=PAGE))
    while page is not None:
        forbidden = [
            lack.fault for each in page.objects or [] for lack in each.missingSet or []
            if isinstance(lack.fault, vmodl.fault.SecurityError)
        ]  # fmt: skip
        if whole and forbidden:
            raise forbidden[0]
        found += [(each.obj, {prop.name: prop.val for prop in each.propSet or []}) for each in page.objects or []]
        if not page.token:
            break
        page = collector.ContinueRetrievePropertiesEx(page.token)
    return found


def finished(session: Session, task: Any, doing: str, *, patience: float) -> Any:
    """Wait for a task; its result.

    A task that has vanished (they do, ten minutes after their end) is None: the caller looks at the effect.

    Raises:
        FerryError: of the task's fault; ``vsphere.busy`` when the patience (seconds) is over: it goes on by itself,
            and the next attempt finds what it did.
    """
    began = heard = time.monotonic()
    pause = FIRST_POLL
    while True:
        try:
            info = read_one(session, task, ["info.state", "info.error", "info.result"], doing)
            heard = time.monotonic()
        except FerryError as error:
            if error.code == "vm.gone":
                return None
            if error.code != "vsphere.unreachable" or time.monotonic() - heard > SILENCE:
                raise
            info = {}
        if info.get("info.state") == "success":
            return info.get("info.result")
        if info.get("info.state") == "error":
            raise translated(info["info.error"], doing)
        if time.monotonic() - began > patience:
            raise FerryError("vsphere.busy", f"cannot {doing}: the task still runs after {patience:.0f} s")
        time.sleep(pause)
        pause = min(MOST_POLL, pause * 1.3)


VM = vim.VirtualMachine
