"""Our client at a simulated pool: what the tests of the client share."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts.config import TargetConfig
from contracts.machine import Firmware, Machine, Nic, Power, SourceDisk
from contracts.steps import Errand, Shell, ShellOrder
from platforms.xapi.target import XapiTarget
from simulators.xapi.server import XapiSimulator
from tests.conformance.xapi_lab import PASSWORD, running_pool

MIB = 1 << 20
MIGRATION = "0190-first-run"


def configured(folder: Path, url: str, **more: Any) -> TargetConfig:
    """How ferry.toml names the pool."""
    secret = folder / "password"
    if not secret.exists():
        secret.write_text(PASSWORD + "\n")
    return TargetConfig.model_validate(
        {"url": url, "username": "root", "password": f"file:{secret}", "ca_file": folder / "ca.pem", **more}
    )


@contextmanager
def target_at(simulator: XapiSimulator, folder: Path, **more: Any) -> Iterator[XapiTarget]:
    """A client that is logged out in the end."""
    target = XapiTarget("pool", configured(folder, more.pop("url", simulator.url), **more))
    try:
        yield target
    finally:
        target.close()


@contextmanager
def pool_and_target(folder: Path, **inventory: Any) -> Iterator[tuple[XapiSimulator, XapiTarget]]:
    """Both."""
    with running_pool(folder, **inventory) as simulator, target_at(simulator, folder) as target:
        yield simulator, target


def errand(**more: Any) -> Errand:
    """On behalf of one migration."""
    said = {
        "migration": MIGRATION,
        "workflow": "migrate/vc/web01",
        "source": "vc",
        "target": "pool",
        "vm": "web01",
        **more,
    }
    return Errand.model_validate(said)


def machine(sizes: tuple[int, ...] = (16 * MIB, 6 * MIB + 512), **more: Any) -> Machine:
    """A machine of two disks, the second of an odd size, and two cards."""
    disks = tuple(
        SourceDisk(disk_id=f"{2000 + at}-uuid{at}-scsi0:{at}", key=2000 + at, slot=f"scsi0:{at}", capacity=size)
        for at, size in enumerate(sizes)
    )
    said: dict[str, Any] = {
        "source": "vc",
        "machine_id": "5029-instance",
        "ref": "vm-12",
        "name": "web01",
        "power": Power.ON,
        "firmware": Firmware.UEFI,
        "cpus": 4,
        "cores_per_socket": 2,
        "memory": 2048 * MIB,
        "guest_os": "debian12_64Guest",
        "description": "the shop\nsecond line",
        "tags": ("prod", "shop"),
        "nics": (
            Nic(index=0, mac="00:50:56:aa:00:01", network="VM Network"),
            Nic(index=1, mac="02:00:00:00:00:07", network="Backup", connected_at_start=False),
        ),
        "disks": disks,
    }
    return Machine.model_validate({**said, **more})


def order_for(target: XapiTarget, machine: Machine, **more: Any) -> ShellOrder:
    """As the preflight makes it."""
    facts = target.facts(None)
    some = next(iter(facts.networks.values()))
    said: dict[str, Any] = {
        "errand": errand(),
        "machine": machine,
        "sr_uuid": facts.sr_uuid,
        "networks": {nic.network: some for nic in machine.nics},
        "template": target.template_for(machine.guest_os),
    }
    return ShellOrder.model_validate({**said, **more})


def made_shell(target: XapiTarget, **more: Any) -> Shell:
    """The usual shell."""
    return target.make_shell(order_for(target, machine(**more)))


def send(target: XapiTarget, shell: Shell, number: int, pieces: dict[int, bytes], token: str = "run/1/1") -> str:
    """One whole segment; answers its task."""
    disk = target.open_disk(errand(), shell.disks[number])
    disk.take_over(token, 10)
    writer = disk.begin(token, f"Ferry: web01 / {shell.disks[number].slot} / segment 0")
    for offset, data in pieces.items():
        writer.write(offset, data)
    writer.terminate()
    writer.confirm(20)
    return writer.task


def stored(target: XapiTarget, vdi: str) -> bytes:
    """A VDI's whole content, through our own read-back."""
    reading = target.read_back(vdi, errand())
    content = bytearray(reading.virtual_size)
    for offset, piece in reading.blocks():
        content[offset : offset + len(piece)] = piece
    reading.close()
    return bytes(content)


def file_of(simulator: XapiSimulator, vdi: str) -> bytes:
    """A VDI's whole content, as it lies on the simulator's disk."""
    return simulator.pool.vdi_file(simulator.db.by_uuid("VDI", vdi)).read_bytes()


def noise(seed: int, length: int) -> bytes:
    """Bytes that compress badly and are the same every time."""
    return random.Random(seed).randbytes(length)
