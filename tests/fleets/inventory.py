"""A lab of many small machines of different makes, and the fleet that moves them."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

MIB = 1 << 20
DISK = 64 * MIB
IMAGES = 6
"""Different contents of disks; each machine's guest writes its own besides."""
HOSTS, DATASTORES, SRS = ("esx1", "esx2", "esx3"), ("nfs1", "vmfs1", "nfs2"), ("sr1", "sr2")
WAVES = 4


@dataclass
class Installation:
    """What is moved.

    Attributes:
        request: of the fleet.
        good: VMs that must come through, in the order of their waves.
        bad: that fails at its preflight.
        stubborn: whose guest does not shut down: a person calls it off.
        waves: VMs of each.
        after: VM to the one that it comes after.
        limits: permits, by resource as ``[capacity]`` calls it.
        opens: of the window of the third wave.
    """

    request: dict[str, Any]
    good: list[str]
    bad: str
    stubborn: str
    waves: dict[str, list[str]]
    after: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    opens: datetime = datetime.min

    def users(self, resource: str) -> list[str]:
        """Those that come through and need a permit of it."""
        kind, _, name = resource.partition(":")
        if kind == "sr":
            return [each["vm"] for each in self.request["members"]
                    if each["vm"] in self.good and each["request"]["sr"] == name.partition("/")[2]]  # fmt: skip
        return [vm for vm in self.good if HOSTS[int(vm.removeprefix("vm")) % len(HOSTS)] == name.partition("/")[2]]


def write(
    folder: Path, count: int, *, at_once: int, window_in: timedelta, delta_interval: str, seed: int = 7
) -> Installation:
    """Images, inventory.yaml; the request for them."""
    chance = random.Random(seed)
    for number in range(IMAGES):
        _image(folder / f"image{number}.raw", chance)
    names = [f"vm{number:03}" for number in range(count)]
    bad, stubborn = names[count // 3], names[2 * count // 3]
    vms = [_vm(number, name, bad=name == bad, stubborn=name == stubborn) for number, name in enumerate(names)]
    (folder / "inventory.yaml").write_text(json.dumps(_inventory(vms), indent=1))
    waves = {f"wave{each + 1}": names[each * count // WAVES : (each + 1) * count // WAVES] for each in range(WAVES)}
    after = {wave[at]: wave[at - 1] for wave in waves.values() for at in range(2, len(wave), 3)}
    after = {app: base for app, base in after.items() if base not in (bad, stubborn)}
    opens = (datetime.now(UTC) + window_in).replace(second=0, microsecond=0) + timedelta(minutes=1)
    window = f"{opens:%Y-%m-%d %H:%M}/{opens + timedelta(days=1):%Y-%m-%d %H:%M} UTC"
    request = {
        "fleet": f"lab{count}",
        "defaults": {
            "source": "vsphere", "target": "lab", "delta_interval": delta_interval, "segment_bytes": 16 * MIB,
            "downtime_budget": "5m", "max_passes": 4, "power_off_patience": "4s",
        },
        "waves": [
            {"name": "wave1"},
            {"name": "wave2", "approval": "auto"},
            {"name": "wave3", "approval": "auto", "windows": [window]},
            {"name": "wave4", "approval": "auto"},
        ],
        "members": [
            {"vm": vm, "wave": wave, "after": [after[vm]] if vm in after else [], "request": {"sr": SRS[at % len(SRS)]}}
            for wave, each in waves.items()
            for at, vm in enumerate(each)
        ],
        "at_once": at_once,
        "failure_budget": 2,
    }  # fmt: skip
    good = [vm for vm in names if vm not in (bad, stubborn)]
    limits = {"sr:lab/sr1": max(1, at_once // 4), "host:vsphere/esx1": max(1, at_once // 3)}
    return Installation(request, good, bad, stubborn, waves, after, limits, opens)


def _image(file: Path, chance: random.Random) -> None:
    with file.open("wb") as disk:
        disk.truncate(DISK)
        for at in range(0, DISK, 16 * MIB):
            disk.seek(at + chance.randrange(8 * MIB))
            disk.write(chance.randbytes(MIB + chance.randrange(MIB)))


def _vm(number: int, name: str, *, bad: bool, stubborn: bool) -> dict[str, Any]:
    """Different makes: firmware, one disk or two, controllers, stores, hosts, what the guest writes."""
    stores = [DATASTORES[number % len(DATASTORES)], DATASTORES[(number + 1) % len(DATASTORES)]]
    controller = ("scsi0", "sata0", "nvme0", "ide0")[number % 4]
    disks: list[dict[str, Any]] = [
        {"image": f"image{(number + at) % IMAGES}.raw", "datastore": stores[at], "controller": controller, "unit": at}
        for at in range(1 + (number % 5 == 0))
    ]
    if bad:
        disks[0]["mode"] = "independent_persistent"
    return {
        "name": name, "power": "on", "firmware": ("bios", "efi")[number % 2], "host": HOSTS[number % len(HOSTS)],
        "nics": [{"network": "VM Network", "mac": f"00:50:56:{number >> 8:02x}:{number & 255:02x}:01"}],
        "disks": disks,
        "guest": {
            "tools": "running", "writes_mib_per_s": 0.002 * (1 + number % 3), "shutdown_seconds": 3,
            "shutdown_burst_mib": 0.25, "seed": number, "ignores_shutdown": stubborn,
        },
    }  # fmt: skip


def _inventory(vms: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = {"nfs": "NFS", "vmf": "VMFS"}
    return {
        "vsphere": {
            "hosts": [{"name": each} for each in HOSTS],
            "datastores": [{"name": each, "type": kinds[each[:3]]} for each in DATASTORES],
            "vms": vms,
        },
        "xcpng": {
            "hosts": [{"name": "xcp1"}, {"name": "xcp2"}],
            "srs": [{"name": each, "type": "nfs", "size_gib": 512} for each in SRS],
            "networks": [{"name": "lan"}],
        },
    }
