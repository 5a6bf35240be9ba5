"""The judge of a run: looks at disks, power, marks and what lies about in the lab, and believes no report."""

from dataclasses import dataclass, field
from pathlib import Path

from contracts.error_catalogue import CATALOGUE
from contracts.told import Report
from simulators.lab import Lab
from simulators.xapi.left import lying_about
from tests.crash.judging import both_on, equal


@dataclass
class Verdict:
    """``outcome`` as the report says it, ``code`` of what is no success, ``wrong`` in sentences."""

    outcome: str
    code: str
    wrong: list[str] = field(default_factory=list)


def judge(lab: Lab, report: Report, asked: list[str]) -> Verdict:
    """A good end with equal disks; else the source as it was, and a code. Never two machines, nothing left behind."""
    verdict = Verdict(report.outcome, report.error)

    def see(holds: bool, otherwise: str) -> None:
        if not holds:
            verdict.wrong.append(otherwise)

    source = lab.vsphere.state()["web01"]
    vms = lab.xapi.pool.state_file.view()["vms"]
    left = lying_about(lab.xapi.pool)
    leases = lab.vsphere.world.leases
    see(not both_on(source["power_log"], lab.xapi.pool.power_log), "both machines were on at once")
    see(not source["snapshots"], f"snapshots are left: {source['snapshots']}")
    see(all(len(chain) == 1 for chain in source["chains"]), f"chains are left: {source['chains']}")
    see(not source["change_tracking"], "change tracking was left on")
    holding = [each for each in leases._held.values() if leases._alive(each)]
    see(not holding, f"{len(holding)} leases are held")
    # XAPI's own task of an asynchronous call bears no mark until it has answered: one that ended before that is
    # cleared by XAPI after 65 minutes (xapi.md §3.10).
    tasks = [each for each in left["tasks"] if not each.startswith("Async.") or each.endswith(": pending")]
    see(not tasks, f"tasks are left: {tasks[:3]}")
    see(not left["dom0_vbds"], f"dom0 holds {left['dom0_vbds']}")
    see(not left["loose_snapshots"], f"snapshots of VDIs lie about: {left['loose_snapshots']}")
    see(set(left["loose_vdis"]) <= set(report.kept_vdis),
        f"VDIs lie about: {left['loose_vdis']}, kept are {list(report.kept_vdis)}")  # fmt: skip
    writers = lab.xapi.stats.most_writers_at_once
    see(all(count == 1 for count in writers.values()), f"a VDI had more than one writer: {writers}")
    started = any(state == "Running" for _, _, state in lab.xapi.pool.power_log)
    if report.outcome == "cancelled" and started:  # a cancel after the start ends Ferry's watching only (SAFETY 17)
        see(source["power"] == "poweredOff", "cancelled after the start, and the source is on")
        see([vm["power_state"] for vm in vms] == ["Running"], f"cancelled after the start, and the VMs are {vms}")
        return verdict
    mark = [key for key in source["extra_config"] if key.startswith("ferry.")]
    if report.outcome == "done":
        # What the fence must be undone by stays on the source while it is off and fenced.
        see(not [key for key in mark if key in ("ferry.migration", "ferry.workflow", "ferry.epoch")],
            f"marks are left: {mark}")  # fmt: skip
        see(source["power"] == "poweredOff", "done, and the source is on")
        see([vm["name"] for vm in vms] == ["web01"], f"the pool's VMs are {[vm['name'] for vm in vms]}")
        for vm in vms[:1]:
            see(vm["power_state"] == "Running", f"the target is {vm['power_state']}")
            flats = sorted((lab.folder / "vsphere/ds1/web01").glob("*-flat.vmdk"), key=lambda file: len(file.name))
            see(len(vm["disks"]) == len(flats), f"{len(vm['disks'])} of {len(flats)} disks are there")
            for flat, disk in zip(flats, vm["disks"], strict=False):
                see(equal(flat, Path(disk["snapshot_file"])), f"{flat.name} and its copy differ")
        see(report.proof_target_is_sent == "holds", f"target = what was sent: {report.proof_target_is_sent}")
        see(report.proof_target_is_source == "holds", f"target = source at power-off: {report.proof_target_is_source}")
        return verdict
    see(report.outcome in ("failed", "cancelled", "rolled-back"), f"the outcome is {report.outcome}")
    see(report.error in CATALOGUE and report.error != "internal", f"its code is {report.error!r}: {report.message}")
    see(source["power"] == "poweredOn", f"{report.outcome}, and the source is {source['power']}")
    see(all(source["nics_at_start"]), "the source is still fenced")
    see(not mark, f"marks are left: {mark}")
    see(not vms, f"the pool's VMs are {[(vm['name'], vm['power_state']) for vm in vms]}")
    return verdict
