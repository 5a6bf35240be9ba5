"""A pool to test against, and the real XenAPI package talking to it over TLS."""

import http.client
import ssl
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import XenAPI

from simulators.authority import Authority
from simulators.clock import Clock
from simulators.inventory import Xcpng
from simulators.xapi.server import XapiSimulator

PASSWORD = "correct horse"


def trusting(folder: Path) -> ssl.SSLContext:
    """A context that trusts the lab's CA, and nothing else."""
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


@contextmanager
def running_pool(folder: Path, *, speed: float = 1.0, **inventory: Any) -> Iterator[XapiSimulator]:
    """A pool that serves until the end of the block."""
    said = Xcpng.model_validate(inventory)
    simulator = XapiSimulator(said, folder / "xcpng", Authority(folder), clock=Clock(speed), password=PASSWORD)
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()


def logged_in(simulator: XapiSimulator, folder: Path, url: str = "") -> Any:
    """A session of the real package."""

    class Transport(xmlrpc.client.SafeTransport):
        def __init__(self) -> None:
            super().__init__(context=trusting(folder))

    session = XenAPI.Session(url or simulator.url, transport=Transport())
    session.xenapi.login_with_password("root", PASSWORD, "1.0", "tests")
    return session


def connection(simulator: XapiSimulator, folder: Path, number: int = 0) -> http.client.HTTPSConnection:
    """To the HTTP door of a host."""
    host, _, port = simulator.urls[number].removeprefix("https://").partition(":")
    return http.client.HTTPSConnection(host, int(port), context=trusting(folder), timeout=20)


VM_RECORD = {
    "name_label": "web01", "user_version": "1", "is_a_template": False, "affinity": "OpaqueRef:NULL",
    "memory_static_max": str(1 << 30), "memory_dynamic_max": str(1 << 30), "memory_dynamic_min": str(1 << 30),
    "memory_static_min": str(1 << 29), "VCPUs_params": {}, "VCPUs_max": "1", "VCPUs_at_startup": "1",
    "actions_after_shutdown": "destroy", "actions_after_reboot": "restart", "actions_after_crash": "restart",
    "PV_bootloader": "", "PV_kernel": "", "PV_ramdisk": "", "PV_args": "", "PV_bootloader_args": "",
    "PV_legacy_args": "", "HVM_boot_policy": "BIOS order", "HVM_boot_params": {"order": "cdn"}, "platform": {},
    "PCI_bus": "", "other_config": {}, "recommendations": "",
}  # fmt: skip


def make_vdi(session: Any, size: int, **more: Any) -> str:
    """A VDI on the first SR."""
    sr = next(iter(session.xenapi.SR.get_all()))
    ref: str = session.xenapi.VDI.create(
        {
            "SR": sr,
            "virtual_size": str(size),
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": {},
            "name_label": "disk",
            **more,
        }
    )
    return ref


def make_vbd(session: Any, vm: str, vdi: str, userdevice: str = "0", **more: Any) -> str:
    """A disk of a VM."""
    ref: str = session.xenapi.VBD.create(
        {
            "VM": vm,
            "VDI": vdi,
            "userdevice": userdevice,
            "bootable": False,
            "mode": "RW",
            "type": "Disk",
            "empty": False,
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
            **more,
        }
    )
    return ref
