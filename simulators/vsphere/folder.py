"""`/folder`: the files of a datastore, with the locks of running machines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from simulators.vsphere.chain import Disk
    from simulators.vsphere.world import World


@dataclass(frozen=True)
class File:
    """A file that may be read: ``disk`` and the extent's name, or the text of a descriptor."""

    name: str
    size: int
    disk: "Disk | None" = None
    text: bytes = b""

    def read(self, offset: int, length: int) -> bytes:
        """Its bytes; holes are zeros."""
        if self.disk is None:
            return self.text[offset : offset + length]
        return self.disk.read_extent(self.name, offset, length)


class NotServed(Exception):
    """With the HTTP status that says so."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def find(world: "World", target: str) -> File:
    """The file that a URL names.

    Raises:
        NotServed: 404 for what is not there (or has no files: vSAN), 500 for what is locked.
    """
    said = dict(parse_qsl(urlsplit(target).query))
    path = unquote(urlsplit(target).path).removeprefix("/folder/")
    store = world.datastores.get(said.get("dsName", ""))
    wanted = "ha-datacenter" if world.said.kind == "esxi" else world.said.datacenter
    if store is None or store.said.type in ("vsan", "VVOL"):
        raise NotServed(404)
    if said.get("dcPath", wanted if world.said.kind == "esxi" else "").strip("/") != wanted:
        raise NotServed(404)
    folder, _, name = path.partition("/")
    for machine in world.machines.values():
        for number, disk in enumerate(machine.disks):
            if disk.folder.name != folder or machine.said.disks[number].datastore != store.said.name:
                continue
            for place, link in enumerate(disk.links):
                if name == link.descriptor:
                    return File(name, 0, None, (disk.folder / name).read_bytes())
                if name != link.extent:
                    continue
                leaf = place == len(disk.links) - 1
                if machine.power == "poweredOn" and (leaf or not store.said.serves_frozen_base):
                    raise NotServed(500)  # locked by the host that runs it
                return File(name, disk.extent_size(name), disk)
    raise NotServed(404)
