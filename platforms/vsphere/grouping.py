"""Folders and tags of many VMs, by which people choose them."""

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim

from contracts.assessment import Grouped
from platforms.vsphere import tags as tagging
from platforms.vsphere.properties import VM, read_all, read_some
from platforms.vsphere.session import Session

MOST_DEEP = 100
"""Folders above one another: what goes on for ever is no tree."""


def groups(session: Session, refs: Sequence[str], *, tags: bool) -> dict[str, Grouped]:
    """By moref."""
    folders = {
        ref._moId: (str(told.get("name") or ""), told.get("parent"))
        for ref, told in read_all(session, vim.Folder, ["name", "parent"], "list the folders")
    }
    machines = session.call("name the VMs", lambda instance: [vim.VirtualMachine(ref, instance._stub) for ref in refs])
    parents = {
        ref._moId: told.get("parent")
        for ref, told in read_some(session, machines, VM, ["parent"], "read the folders of the VMs")
    }
    named, unread = tagging.tags_of_many(session, refs) if tags else ({}, "")
    return {
        ref: Grouped(folder=_path(parents.get(ref), folders), tags=named.get(ref, ()), tags_unread=unread)
        for ref in refs
    }  # fmt: skip


def _path(parent: Any, folders: dict[str, tuple[str, Any]]) -> str:
    """From below the datacenter's own folder, whose name is ``vm`` wherever one is."""
    names: list[str] = []
    while parent is not None and parent._moId in folders and len(names) < MOST_DEEP:
        name, above = folders[parent._moId]
        if above is None or above._moId not in folders:
            break
        names.append(name.replace("%2f", "∕"))
        parent = above
    return "/".join(reversed(names))
