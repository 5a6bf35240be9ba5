"""The PropertyCollector: traversal, leaf paths, paging, and updates."""

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyVmomi import vim, vmodl

from simulators.vsphere import soap
from simulators.vsphere.clusters import AUTOSTART
from simulators.vsphere.tasks import not_found

if TYPE_CHECKING:
    from simulators.vsphere.world import World

pc: Any = vmodl.query.PropertyCollector
DEFAULT_MOST = 100


@dataclass
class Views:
    """What a session holds: container views, pages that are not fetched yet, filters."""

    views: dict[str, list[Any]] = field(default_factory=dict)
    pages: dict[str, list[Any]] = field(default_factory=dict)
    filters: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))


class Collector:
    """Reads the world on behalf of a session."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def value(self, moid: str, path: str, views: Views, made: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """The value at a leaf path and its type.

        Args:
            made: properties of this object that were made for other paths of the same answer.

        Raises:
            ManagedObjectNotFound, InvalidProperty.
        """
        ref, properties = self._object(moid, views)
        first, _, rest = path.partition(".")
        try:
            kind = type(ref)._GetPropertyInfo(first).type
        except AttributeError:
            raise _no_property(path) from None
        made = {} if made is None else made
        if first not in made:
            made[first] = properties[first]() if first in properties else None
        value = made[first]
        for name in rest.split(".") if rest else ():
            if value is None:
                break
            try:
                kind = type(value)._GetPropertyInfo(name).type
            except AttributeError:
                raise _no_property(path) from None
            value = getattr(value, name)
        if isinstance(value, list) and not value:
            value = None
        return value, kind

    def _object(self, moid: str, views: Views) -> tuple[Any, dict[str, Any]]:
        if moid in views.views:
            found = views.views[moid]
            return vim.view.ContainerView(moid), {"view": lambda: found}
        properties = self._world.properties(moid)
        if properties is None:
            raise not_found(vim.ManagedEntity(moid))
        return _typed(self._world, moid), properties

    def content(self, ref: Any, wanted: list[Any], views: Views) -> Any:
        """An ObjectContent."""
        props, missing = [], []
        made: dict[str, Any] = {}
        paths = [path for spec in wanted if isinstance(ref, spec.type) for path in spec.pathSet or []]
        if any(spec.all for spec in wanted if isinstance(ref, spec.type)):
            paths = list((self._world.properties(ref._moId) or {}).keys())
        for path in dict.fromkeys(paths):
            try:
                value, kind = self.value(ref._moId, path, views, made)
            except vmodl.query.InvalidProperty:
                raise
            except vmodl.MethodFault as error:
                missing.append(pc.MissingProperty(path=path, fault=error))
                continue
            if value is not None:
                props.append(vmodl.DynamicProperty(name=path, val=_wrapped(value, kind)))
        return pc.ObjectContent(obj=ref, propSet=props, missingSet=missing)

    def select(self, spec: Any, views: Views) -> list[Any]:
        """All objects of a filter spec, each once."""
        named: dict[str, Any] = {}
        for obj in spec.objectSet:
            _names(obj.selectSet or [], named)
        found: dict[str, Any] = {}
        for obj in spec.objectSet:
            if self._world.properties(obj.obj._moId) is None and obj.obj._moId not in views.views:
                raise not_found(obj.obj)
            if not obj.skip:
                found[obj.obj._moId] = obj.obj
            self._walk(obj.obj, obj.selectSet or [], named, views, found, set())
        kinds = tuple(each.type for each in spec.propSet)
        return [ref for ref in found.values() if isinstance(ref, kinds)]

    def _walk(
        self, ref: Any, selections: list[Any], named: dict[str, Any], views: Views, found: dict[str, Any],
        walked: set[tuple[str, str]],
    ) -> None:  # fmt: skip
        for selection in selections:
            step = selection if isinstance(selection, pc.TraversalSpec) else named.get(selection.name)
            if step is None or not isinstance(ref, step.type) or (ref._moId, step.name or step.path) in walked:
                continue
            walked.add((ref._moId, step.name or step.path))
            value, _ = self.value(ref._moId, step.path, views)
            reached: list[Any] = value if isinstance(value, list) else [value] if value is not None else []
            for each in reached:
                if not step.skip:
                    found[each._moId] = each
                self._walk(each, step.selectSet or [], named, views, found, walked)

    def retrieve(self, specs: list[Any], most: int | None, views: Views) -> Any:
        """RetrievePropertiesEx: the first page and a token for the rest."""
        contents = [self.content(ref, spec.propSet, views) for spec in specs for ref in self.select(spec, views)]
        return self._page(contents, most, views)

    def go_on(self, token: str, views: Views) -> Any:
        """ContinueRetrievePropertiesEx."""
        if token not in views.pages:
            from simulators.vsphere.machine import invalid_argument

            raise invalid_argument("token")
        return self._page(views.pages.pop(token), None, views)

    def _page(self, contents: list[Any], most: int | None, views: Views) -> Any:
        if not contents:
            return None
        size = min(most or DEFAULT_MOST, DEFAULT_MOST)
        result = pc.RetrieveResult(objects=contents[:size])
        if len(contents) > size:
            token = str(next(views.numbers))
            views.pages[token] = contents[size:]
            result.token = token
        return result

    def wait(self, moid: str, version: str, seconds: float | None, views: Views, alive: threading.Event) -> Any:
        """WaitForUpdatesEx: what changed since that version, or nothing when the time is over."""
        if version and version != str(views.versions.get(moid, 0)):
            raise soap.named_fault("InvalidCollectorVersion")
        if not version:
            views.seen[moid] = {}
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            updates = self._changes(moid, views)
            if updates:
                views.versions[moid] = views.versions.get(moid, 0) + 1
                return pc.UpdateSet(version=str(views.versions[moid]), filterSet=updates, truncated=False)
            if (deadline is not None and time.monotonic() >= deadline) or alive.wait(0.05):
                return None

    def _changes(self, moid: str, views: Views) -> list[Any]:
        seen = views.seen.setdefault(moid, {})
        updates = []
        for name, spec in views.filters.get(moid, []):
            objects = []
            for ref in self.select(spec, views):
                content = self.content(ref, spec.propSet, views)
                changes = []
                for prop in content.propSet or []:
                    key = f"{name}/{ref._moId}/{prop.name}"
                    text = repr(prop.val)
                    if seen.get(key) != text:
                        seen[key] = text
                        changes.append(pc.Change(name=prop.name, op="assign", val=prop.val))
                if changes:
                    objects.append(pc.ObjectUpdate(kind="modify", obj=ref, changeSet=changes))
            if objects:
                updates.append(pc.FilterUpdate(filter=pc.Filter(name), objectSet=objects))
        return updates


def _names(selections: list[Any], named: dict[str, Any]) -> None:
    for each in selections:
        if isinstance(each, pc.TraversalSpec):
            if each.name:
                named[each.name] = each
            _names(each.selectSet or [], named)


def _wrapped(value: Any, kind: Any) -> Any:
    """Lists in an anyType must be typed arrays."""
    if isinstance(value, list):
        return kind(value)
    if isinstance(value, int) and not isinstance(value, bool) and kind is not object and not isinstance(value, kind):
        return kind(value)
    return value


def _no_property(path: str) -> Any:
    error = vmodl.query.InvalidProperty(name=path)
    error.msg = f"invalid property {path}"
    return error


def _typed(world: "World", moid: str) -> Any:
    """A reference of the right type."""
    fixed = {
        each._moId: each
        for each in (
            world.root, world.datacenter, world.vm_folder, world.host_folder, world.compute, *world.hosts,
            world.resource_pool, *world.folders.values(), *(store.ref for store in world.datastores.values()),
            *world.networks.values(),
        )
    }  # fmt: skip
    fixed["LicenseManager"] = vim.LicenseManager("LicenseManager")
    fixed["AuthorizationManager"] = vim.AuthorizationManager("AuthorizationManager")
    fixed[AUTOSTART] = vim.host.AutoStartManager(AUTOSTART)
    fixed["SessionManager"] = vim.SessionManager("SessionManager")
    if moid in fixed:
        return fixed[moid]
    if moid.startswith("snapshot-"):
        return vim.vm.Snapshot(moid)
    if "]lease-" in moid:
        return vim.HttpNfcLease(moid)
    return vim.Task(moid) if moid.startswith("task-") else vim.VirtualMachine(moid)
