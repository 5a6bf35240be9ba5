"""The judge of a run: looks at disks, power, snapshots, tasks; asks nobody's opinion but the lab's."""

from pathlib import Path
from typing import Any

from contracts.told import Report
from tests.end_to_end.running import Programs

CHUNK = 4 << 20


def judge(running: Programs, reports: list[Report]) -> list[str]:
    """What is wrong, in sentences."""
    wrong: list[str] = []

    def see(holds: bool, otherwise: str) -> None:
        if not holds:
            wrong.append(otherwise)

    last = reports[-1]
    outcomes = [report.outcome for report in reports]
    see(outcomes == ["rolled-back"] * (len(reports) - 1) + ["done"], f"the outcomes are {outcomes}: {last.message}")
    see(last.proof_target_is_sent == "holds", f"target = what was sent: {last.proof_target_is_sent}")
    see(last.proof_target_is_source == "holds", f"target = source at power-off: {last.proof_target_is_source}")

    source = running.vcenter("state")["web01"]
    see(source["power"] == "poweredOff", "the source is on")
    see(not source["snapshots"], f"snapshots are left: {source['snapshots']}")
    see(all(len(chain) == 1 for chain in source["chains"]), f"chains are left: {source['chains']}")
    marks = [key for key in source["extra_config"] if key in ("ferry.migration", "ferry.workflow", "ferry.epoch")]
    see(not marks, f"marks are left: {marks}")
    see(not source["change_tracking"], "change tracking was left on")

    vms = running.xapi("state")["vms"]
    see([vm["name"] for vm in vms] == ["web01"], f"the pool's VMs are {[vm['name'] for vm in vms]}")
    for vm in vms[:1]:
        see(vm["power_state"] == "Running", f"the target is {vm['power_state']}")
        flats = sorted((running.state / "vsphere/nfs1/web01").glob("*-flat.vmdk"), key=lambda file: len(file.name))
        see(len(vm["disks"]) == len(flats), f"{len(vm['disks'])} of {len(flats)} disks are there")
        for flat, disk in zip(flats, vm["disks"], strict=False):
            see(equal(flat, Path(disk["snapshot_file"])), f"{flat.name} and its copy differ")

    left = running.xapi("left")
    kept = [vdi for report in reports for vdi in report.kept_vdis]  # and their snapshots
    see(not left["tasks"], f"tasks are left: {left['tasks'][:3]}")
    see(not left["dom0_vbds"], f"dom0 holds {left['dom0_vbds']}")
    see(set(left["loose_vdis"]) <= set(kept), f"VDIs lie about: {left['loose_vdis']}, told as kept are {kept}")
    see(not left["loose_snapshots"], f"snapshots that were read back lie about: {left['loose_snapshots']}")
    writers = running.xapi("stats")["most_writers_at_once"]
    see(all(count == 1 for count in writers.values()), f"a VDI had more than one writer: {writers}")
    wrong += both_on(source["power_log"], running.xapi("power"))
    return wrong


def both_on(source: list[Any], target: list[Any]) -> list[str]:
    """When both machines ran at once, from the logs of the lab: [(at, state)] and [(at, name, state)]."""
    events = [(at, "source", state == "poweredOn") for at, state in source]
    events += [(at, "target", state == "Running") for at, _, state in target]
    on: dict[str, bool] = {}
    wrong = []
    for at, who, runs in sorted(events):
        on[who] = runs
        if all(on.get(each) for each in ("source", "target")):
            wrong.append(f"both machines were on at {at}")
    return wrong


def equal(source: Path, target: Path) -> bool:
    """Byte for byte; what the target has more of must be zeros."""
    with source.open("rb") as one, target.open("rb") as other:
        while True:
            left, right = one.read(CHUNK), other.read(CHUNK)
            if left != right[: len(left)] or any(right[len(left) :]):
                return False
            if not left and not right:
                return True
