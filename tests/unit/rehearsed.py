"""Plans of many machines, to be rehearsed."""

import random
from datetime import UTC, datetime
from pathlib import Path

from contracts.plan_seen import PinnedDisk, PinnedNic, PinnedSr, PinnedTarget, PinnedVm, PlanSeen
from starter.planning.reading import Draft, draft_of
from starter.planning.writing import member_lines, new_text, with_seen

GIB = 1 << 30
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def plan_of(count: int, waves: int, *, at_once: int = 40, seed: int = 1, **defaults: object) -> Draft:
    """So many machines of 10 to 200 GiB; each fifth comes after the one before it."""
    chance = random.Random(seed)
    machines: dict[str, PinnedVm] = {}
    members = []
    for number in range(count):
        name, size = f"vm{number:05}", chance.randrange(10, 200) * GIB
        disk = PinnedDisk(disk_id=f"{name}-0", slot="scsi0:0", capacity=2 * size, datastore=f"ds{number % 8}",
                          datastore_type="VMFS", allocated=size, transport="nfc")  # fmt: skip
        machines[name] = PinnedVm(
            name=name, machine_id=f"id-{name}", ref=f"vm-{number}", source="vc", power="on", firmware="bios", cpus=2,
            memory=4 * GIB, host=f"esx{number % 16}", disks=(disk,), bytes=size,
            nics=(PinnedNic(mac=f"00:50:56:00:{number >> 8:02x}:{number & 255:02x}", network="lan"),),
        )  # fmt: skip
        said: dict[str, object] = {"vm": name, "wave": f"w{number * waves // count}"}
        if number % 5 == 4:
            said["after"] = [f"vm{number - 1:05}"]
        members.append(member_lines(said))
    head = {
        "fleet": "big", "source": "vc", "target": "pool", "rate": "200M", "limits": {"at_once": at_once},
        "defaults": {"delta_interval": "1h", "windows": ["daily 20:00-06:00 Europe/Berlin"], **defaults},
    }  # fmt: skip
    text = new_text(head, [{"name": f"w{wave}", "approval": "auto"} for wave in range(waves)], members)
    sr = PinnedSr(uuid="sr", name="fast", type="nfs", free=1 << 60)
    target = PinnedTarget(pool="pool", srs={"": sr}, networks={"lan": "net"}, configured={"lan": "lan"})
    seen = PlanSeen(at=AT, machines=machines, targets={"pool": target})
    return draft_of(Path("big.yaml"), with_seen(text, (0, 0), seen))
