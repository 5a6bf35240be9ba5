"""Which fault meets which activity, and how: all of it told by the seed. Pure.

The cells of the grid are walked in one order for ever: seed ``n`` is cell ``n`` of it, round and round; the rest of a
run (how many requests pass first, how long it lasts, what a human says) is drawn from the seed.
"""

import random
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.chaos.reach import REACH

ANY = ("*",)
SNAPSHOTS = ("CreateSnapshot_Task", "RemoveSnapshot_Task")
FAULTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("vsphere", "session expired"): ANY,
    ("vsphere", "task lost"): ("*_Task",),
    ("vsphere", "host rebooting"): ("*_Task", "ShutdownGuest", "QueryChangedDiskAreas", "GET /folder"),
    ("vsphere", "datastore full"): (*SNAPSHOTS, "PowerOnVM_Task"),
    ("vsphere", "lease lost"): ("Export*",),
    ("vsphere", "removal of an hour"): ("RemoveSnapshot_Task",),
    ("vsphere", "disk locked"): (*SNAPSHOTS, "PowerOnVM_Task", "GET /folder"),
    ("vsphere", "toolstack restart"): ANY,
    ("vsphere", "network cut"): ANY,
    ("vsphere", "slow"): ANY,
    ("vsphere", "truncated"): ANY,
    ("vsphere", "5xx"): ANY,
    ("vsphere", "wrong certificate"): ANY,
    ("xapi", "session expired"): ANY,
    ("xapi", "task lost"): ("task.create", "Async.*", "VDI.checksum", "VDI.pool_migrate"),
    ("xapi", "host rebooting"): ANY,
    ("xapi", "SR full"): ("VDI.create", "VDI.clone", "VM.snapshot", "VDI.snapshot", "VDI.pool_migrate",
                          "PUT /import_raw_vdi"),
    ("xapi", "disk locked"): ("VDI.destroy", "VDI.clone", "VDI.pool_migrate", "VM.start", "VM.snapshot", "VDI.snapshot",
                              "PUT /import_raw_vdi", "GET /export_raw_vdi"),
    ("xapi", "toolstack restart"): ANY,
    ("xapi", "master changed"): ANY,
    ("xapi", "network cut"): ANY,
    ("xapi", "slow"): ANY,
    ("xapi", "truncated"): ANY,
    ("xapi", "5xx"): ANY,
    ("xapi", "wrong certificate"): ANY,
    ("worker", "SIGKILL"): ANY,
    ("server", "SIGKILL"): ANY,
}  # fmt: skip
"""By side and name: the calls that it needs. An activity that makes none of them cannot be met by it."""

ROUTES: dict[str, str] = {
    "thaw": "a freeze that fails",
    "remove_shell": "cancel in cutover",
    "unfence_source": "cancel in cutover",
    "power_on_source": "cancel in cutover",
    "block_target": "rollback",
    "raise_target_epoch": "rollback",
    "stop_target": "rollback",
    "take_bases": "read back between",
    "drop_bases": "read back between",
    "prove_by_checksum": "checksum",
    "next_window": "window",
    "take_approved_step": "approved steps",
    "source_goes_off": "late shutdown",
    "make_test": "test boot",
    "start_test": "test boot",
    "drop_test": "test boot",
    "undiverge_target": "undone after diverged",
    "smoke_target": "after the start",
    "reboot_target": "after the start",
    "see_source_off": "after the start",
    "retire_source": "after the start",
    "remove_source": "removal",
    "move_disks": "move disks",
}
"""The path on which an activity lies, where it is not the straight one."""
FIRST_OF_ROADS = 441
"""Recorded runs of the seeds before it walked a grid without them."""
UNREACHED = {"inspect", "find_machines", "assess_machines", "find_snapshot", "read_record", "find_leftovers",
             "remove_leftover", "ask_for_permits", "see_holders"}  # fmt: skip
"""Activities of no migration: they answer a person who looks (`inspect`, `find_machines`, `assess_machines`,
`read_record`), who verifies an ended one (`find_snapshot`), or who clears up after one that was terminated
(`find_leftovers`, `remove_leftover`); and the two of permits, which speak to Temporal only and which the lab of this
campaign does not limit (tests/workflows/test_capacity.py ends workers in the midst of them)."""
LATER = (
    (0, ("append_record",)),
    (FIRST_OF_ROADS, ("next_window", "take_approved_step", "source_goes_off", "make_test", "start_test", "drop_test",
                      "undiverge_target", "smoke_target", "reboot_target", "see_source_off", "retire_source",
                      "remove_source", "move_disks")),
)  # fmt: skip
"""Activities that are newer than the grid, and the seed that is the first to walk their cells: they come last, so that
a seed stays what it was."""
REPEATED = {"freeze": 2, "copy_disk": 2, "seal": 2, "preflight": 1, "fence_source": 1, "take_approved_step": 1,
            "smoke_target": 2}  # fmt: skip
"""How many of these may be let pass: a migration on their road has one more."""
OF_SNAPSHOTS = ("datastore full", "disk locked", "removal of an hour")
ONE_ROAD = ("straight", "approved steps", "after the start", "rollback in probation")
"""Roads on which :data:`REPEATED` holds."""
OTHER_ROADS = {
    "smoke_target": ("rollback in probation", "test boot"),
    "see_source_off": ("rollback in probation",),
    "make_test": ("cancel in test boot",),
    "start_test": ("cancel in test boot",),
    "drop_test": ("cancel in test boot",),
    "undiverge_target": ("cancel before start",),
}
"""Which a part of the runs takes instead."""


@dataclass(frozen=True)
class Cell:
    """One field of the grid."""

    activity: str
    side: str
    fault: str

    def __str__(self) -> str:
        return f"{self.side}: {self.fault} × {self.activity}"


@dataclass(frozen=True)
class Orders:
    """What a run has to suffer.

    Attributes:
        occurrence: how many of that activity are let pass.
        moment: 0 to 1, where in the activity's requests to that side the fault begins.
        count: how many requests it meets, where it counts.
        seconds: how long it lasts, where it lasts.
        answer: what a human says when first asked: ``retry`` when all is mended, or ``cancel``.
    """

    seed: int
    cell: Cell
    route: str
    occurrence: int
    moment: float
    count: int
    seconds: float
    answer: str
    disks: int
    datastore: str
    number: float


def cells(known_by: int | None = None) -> list[Cell]:
    """All that can be, in the order in which seeds walk them; or those that a seed could walk.

    Args:
        known_by: that seed.
    """
    newer = {name for _, names in LATER for name in names}
    walks = [sorted(set(REACH) - newer)]
    for first, names in LATER:
        if known_by is None or known_by >= first:
            walks += [[name] for name in names]
    walked: list[Cell] = []
    for activities in walks:
        made = [
            Cell(activity, side, fault)
            for activity in activities
            for (side, fault), needed in FAULTS.items()
            if _meets(activity, side, needed)
        ]
        random.Random(20261125).shuffle(made)
        walked += made
    return walked


def cell_of(seed: int) -> Cell:
    """What was added is walked first by the seeds from then on; then it goes round and round."""
    first = max(each for each, _ in LATER if each <= seed)
    before = len(cells(first - 1)) if first else 0
    walked = cells(seed)
    return walked[(before + seed - first) % len(walked)]


def seeds_of_all() -> range:
    """Those that walk every cell."""
    last = LATER[-1][0]
    return range(last + len(cells()) - len(cells(last - 1)))


def _meets(activity: str, side: str, needed: tuple[str, ...]) -> bool:
    if side in ("worker", "server"):
        return True
    calls = REACH[activity].get(side, {})
    return any(fnmatchcase(call, pattern) for call in calls for pattern in needed)


def requests_of(activity: str, side: str) -> int:
    """How many an undisturbed one makes."""
    return sum(REACH[activity].get(side, {}).values())


def orders(seed: int) -> Orders:
    """The run of that seed."""
    cell = cell_of(seed)
    chance = random.Random(seed)
    route = ROUTES.get(cell.activity, "straight")
    # What is on several roads is met on each of them.
    if cell.activity in ("change_tracking_off", "release_source", "raise_source_epoch"):
        route = chance.choice(["straight", "rollback", "cancel in cutover"])
    if cell.activity in ("unfence_source", "power_on_source", "remove_shell"):
        route = chance.choice(["cancel in cutover", "rollback"])
    if cell.activity in ("block_target", "raise_target_epoch"):
        route = chance.choice(["rollback", "cancel before start"])
        route = "rollback" if cell.side in ("worker", "server") else route  # nothing stands in the way of a start there
    if cell.activity in OTHER_ROADS and chance.random() < 0.35:
        route = chance.choice(OTHER_ROADS[cell.activity])
        if cell.side in ("worker", "server"):  # nothing holds what is cancelled there until the cancel is heard
            route = ROUTES[cell.activity]
    occurrence = chance.randint(0, REPEATED.get(cell.activity, 0)) if route in ONE_ROAD else 0
    if route == "rollback in probation":
        occurrence = min(occurrence, 1)  # the one in probation is called off
    if cell.activity == "take_approved_step" and cell.fault in OF_SNAPSHOTS:
        occurrence = 0  # the second step is the ISO's
    streamed = cell.fault == "lease lost" or (cell.activity in ("copy_disk", "prove_source") and chance.random() < 0.25)
    if cell.fault == "disk locked" and cell.side == "vsphere":
        streamed = False
    return Orders(
        seed=seed,
        cell=cell,
        route=route,
        occurrence=occurrence,
        moment=chance.random(),
        count=chance.choice([1, 1, 2, 4]),
        seconds=round(chance.uniform(0.3, 2.5), 2),
        answer=chance.choice(["retry", "retry", "cancel"]),
        disks=chance.choice([1, 1, 2]),
        datastore="vsan" if streamed else "NFS",
        number=chance.random(),
    )
