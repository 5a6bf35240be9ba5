"""A vCenter to test against, and the real pyVmomi talking to it over TLS."""

import http.client
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyVim.connect import Connect, Disconnect
from pyVmomi import vim, vmodl

from simulators.authority import Authority
from simulators.clock import Clock
from simulators.inventory import Vsphere
from simulators.vsphere.server import VsphereSimulator

PASSWORD = "correct horse"
MIB = 1 << 20
WEB01: dict[str, Any] = {
    "name": "web01", "firmware": "efi", "power": "on", "cpus": 2, "memory_mib": 2048,
    "nics": [{"mac": "00:50:56:aa:00:01", "mac_type": "manual"}],
    "disks": [{"size_mib": 8.00048828125, "datastore": "nfs1"}, {"size_mib": 4, "datastore": "nfs1", "unit": 1}],
}  # fmt: skip
STORES = [
    {"name": "nfs1", "type": "NFS"}, {"name": "vmfs1"}, {"name": "vsan1", "type": "vsan"},
    *({"name": f"nfs-{told}", "type": "NFS", "allocated_areas": told} for told in ("whole", "refused")),
]  # fmt: skip


@contextmanager
def running_vcenter(folder: Path, *vms: dict[str, Any], speed: float = 1.0, **more: Any) -> Iterator[VsphereSimulator]:
    """A vCenter that serves until the end of the block."""
    said = Vsphere.model_validate({"datastores": STORES, "vms": list(vms) or [WEB01], **more})
    simulator = VsphereSimulator(said, folder / "vsphere", Authority(folder), clock=Clock(speed), password=PASSWORD)
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()


def address(simulator: VsphereSimulator) -> tuple[str, int]:
    """Host and port."""
    host, _, port = simulator.url.removeprefix("https://").partition(":")
    return host, int(port)


def trusting(folder: Path) -> ssl.SSLContext:
    """Trusts the lab's CA and nothing else."""
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


@contextmanager
def logged_in(simulator: VsphereSimulator, folder: Path, password: str = PASSWORD) -> Iterator[Any]:
    """A ServiceInstance of the real package."""
    host, port = address(simulator)
    instance = Connect(
        host=host, port=port, user=simulator.said.user, pwd=password, sslContext=trusting(folder),
        version="vim.version.v8_0_3_0",
    )  # fmt: skip
    try:
        yield instance
    finally:
        try:
            Disconnect(instance)
        except vmodl.MethodFault:
            pass


def done(task: Any, seconds: float = 20) -> Any:
    """Wait for a task; raise its fault."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        info = task.info
        if info.state == "success":
            return info.result
        if info.state == "error":
            raise info.error
        time.sleep(0.02)
    raise AssertionError("the task does not end")


def the_vm(instance: Any, simulator: VsphereSimulator, name: str = "web01") -> Any:
    """By its instanceUuid."""
    return instance.content.searchIndex.FindByUuid(None, simulator.world.vm(name).instance_uuid, True, True)


def changed(vm: Any, snapshot: Any, key: int, change_id: str) -> list[tuple[int, int]]:
    """All areas, by the loop that is right."""
    found, start = [], 0
    disks = [each for each in vm.config.hardware.device if isinstance(each, vim.vm.device.VirtualDisk)]
    capacity = next(each.capacityInBytes for each in disks if each.key == key)
    while start < capacity:
        answer = vm.QueryChangedDiskAreas(snapshot, key, start, change_id)
        found += [(each.start, each.length) for each in answer.changedArea or []]
        start = answer.startOffset + answer.length
    return found


def get(
    simulator: VsphereSimulator, folder: Path, path: str, *, store: str = "nfs1", cookie: str = "", span: str = ""
) -> tuple[int, bytes, dict[str, str]]:
    """One GET of `/folder`."""
    host, port = address(simulator)
    door = http.client.HTTPSConnection(host, port, context=trusting(folder), timeout=20)
    headers = {"Cookie": cookie.split(";")[0]} if cookie else {}
    if span:
        headers["Range"] = f"bytes={span}"
    door.request("GET", f"/folder/{path}?dcPath=DC&dsName={store}", headers=headers)
    answer = door.getresponse()
    body = answer.read()
    door.close()
    return answer.status, body, dict(answer.headers)
