"""The judge of a run: looks at disks, power, marks and what lies about in the lab, and believes no report."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.error_catalogue import CATALOGUE
from contracts.names import MOVE_DISK, RETIRE_VM
from contracts.test_boot import TEST_SUFFIX
from contracts.told import Report
from platforms.xapi.test_boot import TEST_KEY
from simulators.lab import Lab
from simulators.xapi.left import lying_about
from tests.chaos.roads import ROADS
from tests.crash.judging import both_on, equal


@dataclass
class After:
    """What was asked for when the migration was done.

    Attributes:
        kind: the workflow.
        done: it said so.
        codes: with which it failed.
        name: of the source, before.
    source: how it was, before.
        kept: what its disks held before.
    """

    kind: str
    done: bool = False
    codes: list[str] = field(default_factory=list)
    name: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)


@dataclass
class Verdict:
    """``outcome`` as the report says it, ``code`` of what is no success, ``wrong`` in sentences."""

    outcome: str
    code: str
    wrong: list[str] = field(default_factory=list)


def flats_of(lab: Lab) -> list[Path]:
    """The files of the source's disks, by unit."""
    return sorted((lab.folder / "vsphere/ds1/web01").glob("*-flat.vmdk"), key=lambda file: len(file.name))


def meeting_others(lab: Lab) -> list[str]:
    """Tests that run now with a card on a network that leads anywhere."""
    db = lab.xapi.pool.db
    with db.lock:
        running = [vm for vm in db.all("VM").values() if vm["power_state"] == "Running"]
        tests = [vm for vm in running if vm["name_label"].endswith(TEST_SUFFIX)]
        cards = [(vm, db.get("VIF", vif)) for vm in tests for vif in vm["VIFs"]]
        return [
            f"{vm['name_label']} runs on a network with an uplink"
            for vm, vif in cards
            if db.get("network", vif["network"])["PIFs"]
        ]


def judge(lab: Lab, report: Report, asked: list[str], route: str = "straight", after: After | None = None) -> Verdict:
    """A good end with equal disks; else the source as it was, and a code. Never two machines, nothing left behind."""
    verdict = Verdict(report.outcome, report.error)

    def see(holds: bool, otherwise: str) -> None:
        if not holds:
            verdict.wrong.append(otherwise)

    sources = list(lab.vsphere.state().items())
    removed = after is not None and after.kind == RETIRE_VM and after.done
    if removed:
        see(not sources, f"its removal was told, and it is there: {[name for name, _ in sources]}")
        see(not flats_of(lab), "its removal was told, and its disks are there")
    else:
        see(len(sources) == 1, f"the sources are {[name for name, _ in sources]}")
    if after is not None:
        see(after.done, f"what was asked for afterwards failed, though all was mended: {after.codes}")
        see(all(each in CATALOGUE and each != "internal" for each in after.codes), f"its codes are {after.codes}")
    name, source = sources[0] if sources else ("", None)
    vms = lab.xapi.pool.state_file.view()["vms"]
    left = lying_about(lab.xapi.pool)
    leases = lab.vsphere.world.leases
    tests = [each for each in lab.xapi.pool.power_log if each[1].endswith(TEST_SUFFIX)]
    power_log = [each for each in lab.xapi.pool.power_log if each not in tests]
    see(ROADS[route].tested or not tests, f"a test was booted that nobody asked for: {tests}")
    db = lab.xapi.pool.db
    networks = [each["name_label"] for each in db.all("network").values() if TEST_KEY in each["other_config"]]
    see(not networks, f"networks of tests are left: {networks}")
    cards = [each["MAC"] for each in db.all("VIF").values() if not db.has("VM", each["VM"])]
    see(not cards, f"cards of no VM are left: {cards}")
    marked = [
        each["uuid"]
        for each in db.all("VDI").values()
        if TEST_KEY in each["other_config"] and not each["is_a_snapshot"]
    ]
    see(not marked, f"VDIs bear the mark of a test: {marked}")
    if source is None:
        see(removed, "the source is gone, and nobody said yes to that")
        source = after.source if after is not None else {}
    # What a request approved is removed once the source is ours; until then it is somebody's, and stays.
    theirs = list(ROADS[route].vm.get("snapshots", [])) if report.outcome != "done" else []
    see(source["snapshots"] in ([], theirs), f"snapshots are left: {source['snapshots']}")
    see(all(len(chain) == 1 + len(source["snapshots"]) for chain in source["chains"]),
        f"chains are left: {source['chains']}")  # fmt: skip
    see(not source["change_tracking"], "change tracking was left on")
    see(not both_on(source["power_log"], power_log), "both machines were on at once")
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
    see(not report.retired_as or name == report.retired_as or removed, f"it was retired, and its name is {name}")
    see(bool(report.retired_as) or name == "web01", f"its name is {name}, and no report says so")
    started = any(state == "Running" for _, _, state in power_log)
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
            flats = after.kept if removed and after is not None else flats_of(lab)
            see(bool(flats) and len(vm["disks"]) == len(flats), f"{len(vm['disks'])} of {len(flats)} disks are there")
            for flat, disk in zip(flats, vm["disks"], strict=False):
                # A disk that was moved has left its snapshot behind.
                copy = Path(disk["snapshot_file"] or disk["file"])
                see(equal(flat, copy), f"{flat.name} and its copy differ")
                moved = after is not None and after.kind == MOVE_DISK and after.done
                see(("/sr2/" in disk["file"]) == moved, f"{'' if moved else 'not '}moved, its disk is {disk['file']}")
        if ROADS[route].request.get("smoke"):
            last = report.smoke_tests[-1] if report.smoke_tests else None
            see(last is not None and last.passed, f"done, and its last smoke test is {last}")
        see(report.proof_target_is_sent == "holds", f"target = what was sent: {report.proof_target_is_sent}")
        see(report.proof_target_is_source == "holds", f"target = source at power-off: {report.proof_target_is_source}")
        return verdict
    see(report.outcome in ("failed", "cancelled", "rolled-back"), f"the outcome is {report.outcome}")
    see(report.error in CATALOGUE and report.error != "internal", f"its code is {report.error!r}: {report.message}")
    see(source["power"] == "poweredOn", f"{report.outcome}, and the source is {source['power']}")
    see(all(source["nics_at_start"]), "the source is still fenced")
    see(not mark, f"marks are left: {mark}")
    noted = [each.name for each in lab.vsphere.world.machines.values() if each.annotation]
    see(not noted, "it bears a note of its migration")
    see(not vms, f"the pool's VMs are {[(vm['name'], vm['power_state']) for vm in vms]}")
    return verdict
