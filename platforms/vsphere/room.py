"""What a machine's snapshot costs its datastores while it exists (SAFETY 10)."""

from collections import defaultdict

from pyVmomi import vim

from contracts.machine import StoreRoom
from platforms.vsphere.inventory import datastore_of
from platforms.vsphere.located import Located
from platforms.vsphere.properties import read_all, read_one
from platforms.vsphere.session import Session


def room(session: Session, vm: Located) -> list[StoreRoom]:
    """Per datastore that holds a leaf of a chain: how large the leaves are, and what is left free.

    vSphere keeps both for a while: the layout is asked to be refreshed, the datastore's free bytes are as old as its
    last look (some minutes).
    """
    session.call("refresh the layout", lambda instance: vm.managed(instance).RefreshStorageInfo())
    layout = read_one(session, vm.ref, ["layoutEx"], f"read the layout of {vm.name}").get("layoutEx")
    grown: dict[str, int] = defaultdict(int)
    if layout is not None:
        files = {file.key: file for file in layout.file or []}
        for disk in layout.disk or []:
            if len(disk.chain or []) > 1:
                for key in disk.chain[-1].fileKey:
                    if key in files:
                        grown[datastore_of(files[key].name)] += files[key].size or 0
    if not grown:
        return []
    stores = read_all(
        session, vim.Datastore, ["name", "summary.freeSpace", "summary.capacity"], "see what the datastores have left"
    )
    return [
        StoreRoom(
            datastore=told["name"], grown=grown[told["name"]], free=told.get("summary.freeSpace") or 0,
            capacity=told.get("summary.capacity") or 0,
        )
        for _, told in stores
        if told["name"] in grown
    ]  # fmt: skip
