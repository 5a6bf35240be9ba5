"""Where a disk stands: told from its journal alone, so that any attempt, anywhere, goes on from the same place."""

import json
import struct
from dataclasses import dataclass, field
from typing import Any

from contracts.errors import FerryError
from disks.extents import Extent, after_position, both, merged, subtracted
from disks.journal import Journal
from disks.manifest import BASE, DIGEST, MANIFEST, Manifest
from disks.plan import Plan, decoded, encoded
from disks.store import Shelf

MOST_DIFFERENCES = 10_000
"""Ranges in one line; where there are more, they are joined over what lies between."""
_ENTRY = struct.Struct(f"<Q{DIGEST}s")


@dataclass
class OpenSegment:
    """A segment that was begun and is not known to be durable."""

    number: int
    task: str
    position: int
    upto: int | None = None  # known once the terminator was sent
    sent: int = 0


@dataclass
class Standing:
    """What the journal adds up to.

    Attributes:
        landmark: the target is complete up to it, but for what is owed; empty before the first pass.
        complete: every byte of the disk was planned in a pass that held; what is not done of it is owed.
        owed: extents that must be sent whole in the next pass.
        unsure: extents that the next pass must compare; the manifest tells what the target holds there.
        touched: a plan was begun at some time, so the VDI is no longer known to be zeros.
        plan: the plan that is open now, if any.
        unproven: what was written since a read-back of the whole disk held; None before there was one.
        base: the snapshot that was read back then, of which the base manifest tells; empty where it was the VDI.
        diverged: the target may have run, since the cutover of ``diverged_at``, an epoch.
        differs_in: the snapshot whose read-back told of what is owed.
        position: how far the open plan is durable.
        bound: how far it may have been written, if some segment failed or its worker died.
    """

    landmark: str = ""
    complete: bool = False
    owed: list[Extent] = field(default_factory=list)
    unsure: list[Extent] = field(default_factory=list)
    touched: bool = False
    plan: Plan | None = None
    position: int = 0
    bound: int = 0
    sent: int = 0
    sent_again: int = 0
    segments: int = 0
    open_segment: OpenSegment | None = None
    token: str = ""
    diverged: bool = False
    diverged_at: int = 0
    differs_in: str = ""
    unproven: list[Extent] | None = None
    base: str = ""
    closed_passes: list[int] = field(default_factory=list)


class Ledger:
    """One disk's journal, plans and pending digests."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.journal = Journal(shelf)
        self.standing = Standing()
        for record in self.journal.lines():
            self._count(record)

    def manifest(self, capacity: int) -> Manifest:
        """The disk's manifest, made where nothing was copied yet.

        Raises:
            FerryError: ``store.damaged``, also when it is gone: a new one would tell that the target is all zeros.
        """
        if self.standing.touched and not self.shelf.has_cells(MANIFEST):
            raise FerryError("store.damaged", "the manifest is gone, though the disk was copied")
        return Manifest(self.shelf, capacity)

    def base_manifest(self, capacity: int, manifest: Manifest | None = None) -> Manifest:
        """The digests of the snapshot that is read back whole, from here on those of a manifest if one is given.

        A copy, and compared with what is read: whatever passes do to the manifest meanwhile, it tells of that snapshot.
        """
        if manifest is None and not self.shelf.has_cells(BASE):
            raise FerryError("store.damaged", "the base manifest is gone, though the journal tells of it")
        base = Manifest(self.shelf, capacity, name=BASE)
        if manifest is not None:
            self._write("basing")  # while it is being copied, it tells of no snapshot
            base.copy(manifest)
        return base

    def attempt(self, token: str) -> None:
        """A new writer begins; what older ones write into the journal from now on does not count (SAFETY 13)."""
        self._write("attempt", token=token)

    def begin_plan(self, plan: Plan) -> None:
        """Write the plan, then say that it is the plan (SAFETY 1)."""
        self.shelf.write(_plan_name(plan.pass_no), encoded(plan))
        self._write("plan", **{"pass": plan.pass_no, "kind": plan.kind, "bytes": plan.bytes})

    def begin_segment(self, number: int, task: str, position: int, bound: int) -> None:
        """Note the task before its first byte, and the position past which this segment writes nothing."""
        self._write("sending", token=self.standing.token, segment=number, task=task, position=position, bound=bound)

    def terminated(self, number: int, upto: int, sent: int, digests: dict[int, bytes]) -> None:
        """Note that all 12 bytes of the terminator were sent, and what the blocks of the segment are."""
        packed = b"".join(_ENTRY.pack(block, digest) for block, digest in digests.items())
        self.shelf.write("pending.digests", packed)
        self._write("terminated", token=self.standing.token, segment=number, upto=upto, sent=sent)

    def done(self, number: int, upto: int, sent: int, again: int, manifest: Manifest) -> None:
        """The task succeeded: digests first, then the line that counts (SAFETY 2)."""
        manifest.put(self._pending_digests())
        self._write("done", token=self.standing.token, segment=number, upto=upto, sent=sent, again=again)

    def passed_over(self, upto: int, digests: dict[int, bytes], manifest: Manifest) -> None:
        """Everything up to that position is zeros that need not be sent."""
        manifest.put(digests.items())
        self._write("done", token=self.standing.token, segment=-1, upto=upto, sent=0, again=0)

    def close_pass(self, pass_no: int, *, complete: bool, void: bool) -> None:
        """End the open plan; closing a pass again does nothing.

        A complete pass moves the landmark. A cut one makes the rest owed; a cut first or full pass moves the
        landmark all the same, since its plan covers all that any older landmark could (docs/decisions/0002).
        A void pass leaves the landmark and makes all of it owed. A void comparison leaves no landmark, so that the
        next pass compares again; the manifest tells what the target holds, but for a segment that was open.
        """
        plan = self.standing.plan
        if plan is None or plan.pass_no != pass_no:
            return
        complete = complete and self.standing.position >= plan.bytes
        self._write("closed", **{"pass": pass_no, "complete": complete, "void": void})

    def proven(self, base: str = "") -> None:
        """The whole disk, or a snapshot of it, was read back between two passes, and is as it was sent."""
        self._write("proven", base=base)

    def differs(self, snapshot: str, extents: list[Extent]) -> None:
        """A read-back found other bytes there than were sent: they are sent again by the next pass."""
        gap = 0
        while len(extents) > MOST_DIFFERENCES:
            gap = max(1 << 20, 2 * gap)
            extents = merged(extents, gap=gap)
        self._write("differs", snapshot=snapshot, extents=extents)

    def diverge(self, epoch: int = 0) -> None:
        """The target is about to be started: its disk is no longer what was sent (SAFETY 18).

        Args:
            epoch: of the cutover.
        """
        if not self.standing.diverged or self.standing.diverged_at < epoch:
            self._write("diverged", epoch=epoch)

    def never_ran(self, epoch: int) -> None:
        """It is certain that the cutover of that epoch came to no start. Of any other cutover this says nothing."""
        if self.standing.diverged and self.standing.diverged_at == epoch:
            self._write("undiverged", epoch=epoch)

    def _pending_digests(self) -> list[tuple[int, bytes]]:
        packed = self.shelf.read("pending.digests")
        if packed is None:
            raise FerryError("store.damaged", "the digests of the last segment are gone")
        return [(int(block), bytes(digest)) for block, digest in _ENTRY.iter_unpack(packed)]

    def _plan(self, pass_no: int) -> Plan:
        content = self.shelf.read(_plan_name(pass_no))
        if content is None:
            raise FerryError("store.damaged", f"the plan of pass {pass_no} is gone")
        return decoded(content)

    def _write(self, event: str, **facts: Any) -> None:
        self._count(json.loads(json.dumps(self.journal.append(event, **facts))))

    def _count(self, record: dict[str, Any]) -> None:
        now = self.standing
        match record["event"]:
            case "attempt":
                now.token = record["token"]
            case "plan":
                now.plan = self._plan(record["pass"])
                now.closed_passes = [each for each in now.closed_passes if each != record["pass"]]  # it is open again
                now.position = now.bound = now.sent = now.sent_again = 0
                now.open_segment = None
                now.touched = True
            case "sending" if record["token"] == now.token:
                now.bound = max(now.bound, record.get("bound", 0))
                now.open_segment = OpenSegment(record["segment"], record["task"], record["position"])
                now.segments = max(now.segments, record["segment"] + 1)
            case "terminated" if record["token"] == now.token and now.open_segment is not None:
                now.open_segment.upto = record["upto"]
                now.open_segment.sent = record["sent"]
            case "done" if record["token"] == now.token:
                now.position = record["upto"]
                now.sent += record["sent"]
                now.sent_again += record["again"]
                now.open_segment = None
            # A stopped worker that closes its pass once more, when the next is under way, closes nothing (SAFETY 13).
            case "closed" if now.plan is not None and now.plan.pass_no == record["pass"]:
                self._close(complete=record["complete"], void=record["void"])
                now.closed_passes.append(record["pass"])
            case "basing":
                now.base = ""
            case "proven":
                now.unproven, now.base = [], record.get("base", "")
            case "differs":
                now.owed = merged([*now.owed, *(Extent(*each) for each in record["extents"])])
                now.differs_in = record["snapshot"]
            case "diverged":
                now.diverged, now.diverged_at = True, record.get("epoch", 0)
            # A stopped worker may say so once more when a later cutover has begun (SAFETY 14).
            case "undiverged" if record["epoch"] == now.diverged_at:
                now.diverged = False
            case _:
                pass  # a line of an older token, or of a newer Ferry

    def _close(self, *, complete: bool, void: bool) -> None:
        now, plan = self.standing, self.standing.plan
        assert plan is not None
        rest = after_position(plan.extents, now.position)
        untouched = after_position(plan.extents, max(now.bound, now.position))
        if now.unproven is not None:
            now.unproven = merged([*now.unproven, *subtracted(plan.extents, untouched)])
        maybe_written = subtracted(rest, untouched)
        if void and plan.kind == "compare":
            now.landmark, now.owed, now.unsure = "", merged([*now.owed, *maybe_written]), []
        elif void:
            now.owed, now.unsure = merged([*now.owed, *plan.extents]), []
        elif complete:
            now.landmark, now.owed, now.unsure, now.complete = plan.upto, [], [], True
        else:
            # Sent and not durable, and then the guest goes back to what the manifest says: only sending mends that.
            now.unsure = subtracted(both(rest, plan.unsure), maybe_written)
            now.owed = subtracted(rest, now.unsure)
            if plan.kind != "delta":
                now.landmark, now.complete = plan.upto, True  # complete but for what is owed
        now.plan, now.open_segment = None, None


def _plan_name(pass_no: int) -> str:
    return f"plan-{pass_no}.json"
