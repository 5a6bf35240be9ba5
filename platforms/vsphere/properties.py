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
POLL = 0.2


def read_one(session: Session, ref: Any, paths: Sequence[str], doing: str) -> dict[str, Any]:
    """The properties of one object that are set.

    Raises:
        FerryError: ``vm.gone`` when it is not there.
    """
    found = _read(session, [pc.ObjectSpec(obj=ref, skip=False)], type(ref), paths, doing)
    if not found:
        raise FerryError("vm.gone", f"cannot {doing}: it is not there")
    return found[0][1]


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


def _read(
    session: Session, objects: list[Any], kind: Any, paths: Sequence[str], doing: str
) -> list[tuple[Any, dict[str, Any]]]:
    return session.call(doing, lambda instance: _pages(instance.RetrieveContent(), objects, kind, paths))


def _pages(content: Any, objects: list[Any], kind: Any, paths: Sequence[str]) -> list[tuple[Any, dict[str, Any]]]:
    collector = content.propertyCollector
    spec = pc.FilterSpec(objectSet=objects, propSet=[pc.PropertySpec(type=kind, all=False, pathSet=list(paths))])
    found: list[tuple[Any, dict[str, Any]]] = []
    page = collector.RetrievePropertiesEx([spec], pc.RetrieveOptions(maxObjects=PAGE))
    while page is not None:
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
    deadline = time.monotonic() + patience
    while True:
        try:
            info = read_one(session, task, ["info.state", "info.error", "info.result"], doing)
        except FerryError as error:
            if error.code == "vm.gone":
                return None
            raise
        if info.get("info.state") == "success":
            return info.get("info.result")
        if info.get("info.state") == "error":
            raise translated(info["info.error"], doing)
        if time.monotonic() > deadline:
            raise FerryError("vsphere.busy", f"cannot {doing}: the task still runs after {patience:.0f} s")
        time.sleep(POLL)


VM = vim.VirtualMachine
