"""Migrations from a Python program: the same requests, messages and answers as the `ferry` command, with types.

    import asyncio
    from starter.sdk import Ferry

    async def main() -> None:
        ferry = await Ferry.connect("localhost:7233")
        web01 = await ferry.start(source="vc", vm="web01", target="pool", delta_interval="1h")
        seen = await web01.until_human()                  # the passes go on meanwhile; so does this, for weeks
        print(*seen.status.approval_facts, sep="\\n")      # what a yes approves
        await web01.approve(seen, who="ann", note="change 4711")
        report = await web01.report()                     # waits for the end
        print(report.outcome, report.downtime_s, report.proof_target_is_source)

    asyncio.run(main())

A fleet, begun by `ferry apply` or by :meth:`Ferry.start_fleet`, is steered as one:

    spring = ferry.fleet("spring")
    seen = await spring.until_human()
    ack = await spring.say("approve", waves=["pilot"], who="ann", note="change 4711")
    print(ack.taken, ack.passed_over)                     # of whom it was not true, with the reason
    report = await spring.report()

Nothing here holds a migration up or keeps it alive: it is a workflow on the Temporal server, and this process may end
at any time and come back by ``ferry.migration("web01", source="vc")``. What is refused raises
:class:`contracts.errors.FerryError` with a code that `ferry explain` knows. A worker must poll (`python worker.py`).
"""

import asyncio
import atexit
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, get_args

from pydantic import ValidationError
from temporalio.client import Client

from contracts.config import TemporalConfig
from contracts.errors import ExitCode, FerryError
from contracts.fleet import FleetAck, FleetAdd, FleetApprove, FleetReport, FleetSteer, MigrateFleetRequest
from contracts.messages import Ack, Reject, SetLimits, Steer
from contracts.names import MIGRATE_VM, Message, usual_workflow_id
from contracts.test_boot import TestBoot
from contracts.told import Report, Status
from starter.beginning import begin, request_of
from starter.connecting import connect
from starter.failures import as_ferry_error, fields_told
from starter.fleets import SeenFleet, cancel_fleet, fleet_name, look_at, report_of_fleet, tell
from starter.looking import look
from starter.seen import Seen
from starter.sending import approve, roll_back, send

LOOK_EVERY = 1.0
FleetWord = Literal["approve", "pause", "resume", "cancel", "skip", "retry"]


def _pause() -> None:
    time.sleep(0.3)


class Migration:
    """One migration, running or ended. Its id is :attr:`workflow`; nothing else need be remembered."""

    def __init__(self, client: Client, workflow: str) -> None:
        self._client = client
        self.workflow = workflow

    async def look(self) -> Seen:
        """All that is to be known now: status, what each disk's copy does, or the report of its end."""
        return await look(self._client, self.workflow)

    async def status(self) -> Status | None:
        """Phase, passes, what a yes would approve; None when it has ended or no worker answers."""
        return (await self.look()).status

    async def until_human(self) -> Seen:
        """Wait until nothing goes on without a human (an approval, a retry), or it is over."""
        while True:
            seen = await self.look()
            if seen.over or seen.waits_for_human:
                return seen
            await asyncio.sleep(LOOK_EVERY)

    async def approve(
        self, seen: Seen, *, who: str, note: str = "", expires: str | None = None, max_downtime: str | None = None
    ) -> Ack:
        """Yes to the cutover, for the facts that were seen; if they changed since: ``message.stale_ticket``."""
        return await approve(self._client, seen, who=who, note=note, expires=expires, max_downtime=max_downtime)

    async def reject(self, *, who: str, note: str = "") -> Ack:
        """No, or a yes taken back, until power-off begins."""
        return await send(self._client, self.workflow, Message.REJECT, Reject(who=who, note=note))

    async def pause(self, *, who: str = "", note: str = "") -> Ack:
        """Cut the pass, thaw the source, wait for :meth:`resume`."""
        return await self._steer(Message.PAUSE, who, note)

    async def resume(self, *, who: str = "", note: str = "") -> Ack:
        """Go on."""
        return await self._steer(Message.RESUME, who, note)

    async def sync_now(self, *, who: str = "", note: str = "") -> Ack:
        """Begin the next delta pass at once."""
        return await self._steer(Message.SYNC_NOW, who, note)

    async def set_limits(
        self, *, bandwidth: str | None = None, windows: Sequence[str] | None = None, who: str = ""
    ) -> Ack:
        """Copy no faster than that, from now on: ``50M``, ``off``, ``08:00,50M 19:00,off``; other windows, or none."""
        said = SetLimits(who=who, bandwidth=bandwidth, windows=None if windows is None else tuple(windows))
        return await send(self._client, self.workflow, Message.SET_LIMITS, said)

    async def retry(self, *, who: str = "", note: str = "") -> Ack:
        """What it needed a human for is mended."""
        return await self._steer(Message.RETRY, who, note)

    async def test_boot(self, *, who: str, note: str = "", within: str = "10m") -> Ack:
        """Boot clones of what was copied so far, and throw them away; the status tells how it went."""
        said = TestBoot.model_validate({"who": who, "note": note, "within": within})
        return await send(self._client, self.workflow, Message.TEST_BOOT, said)

    async def rollback(self, seen: Seen, *, who: str, note: str = "") -> Ack:
        """Back to the source. What the target wrote since the start that ``seen`` shows is lost."""
        return await roll_back(self._client, seen, who=who, note=note)

    async def cancel(self) -> None:
        """Undo everything and stop, before the target's start; after it, only stop watching."""
        try:
            await self._client.get_workflow_handle(self.workflow).cancel()
        except Exception as error:
            raise as_ferry_error(error) from None

    async def report(self) -> Report:
        """Wait for the end, however it ends, and what was proven."""
        while True:
            seen = await self.look()
            if seen.over and seen.report is not None:
                return seen.report
            await asyncio.sleep(LOOK_EVERY)

    async def _steer(self, message: Message, who: str, note: str) -> Ack:
        return await send(self._client, self.workflow, message, Steer(who=who, note=note))


class FleetOf:
    """A fleet, running or ended. Whom a message is about is said by ``waves``, ``vms`` or ``everyone=True``."""

    def __init__(self, client: Client, fleet: str) -> None:
        self._client, self.fleet = client, fleet

    async def look(self) -> SeenFleet:
        """Its numbers, its pace, and a row of each member: two questions, however many there are."""
        return await look_at(self._client, self.fleet)

    async def until_human(self) -> SeenFleet:
        """Wait until nothing of it goes on without a human, or it is over."""
        while True:
            seen = await self.look()
            if seen.exit_code is not ExitCode.RUNNING:
                return seen
            await asyncio.sleep(LOOK_EVERY)

    async def say(self, message: FleetWord, *, who: str, note: str = "", **whom: Any) -> FleetAck:
        """Of the members that are named: whom it took, whom it passed over, and why.

        ``pause`` and ``resume`` without names are of the fleet itself.
        """
        if message not in get_args(FleetWord):
            raise FerryError("request.invalid", f"{message!r} is none of {', '.join(get_args(FleetWord))}")
        kind = FleetApprove if message == "approve" else FleetSteer
        try:
            said = kind.model_validate({"who": who, "note": note, **whom})
        except ValidationError as error:
            raise FerryError("request.invalid", fields_told(error)) from None
        return await tell(self._client, self.fleet, message, said)

    async def add(self, *members: dict[str, Any], who: str) -> FleetAck:
        """More VMs: ``{"vm": "web07", "wave": "rest", "after": ["db01"]}``."""
        try:
            said = FleetAdd.model_validate({"who": who, "members": members})
        except ValidationError as error:
            raise FerryError("request.invalid", fields_told(error)) from None
        return await tell(self._client, self.fleet, "add", said)

    async def cancel(self) -> None:
        """All of it: who runs is undone, who waits does not begin, and then it is over."""
        await cancel_fleet(self._client, self.fleet)

    async def report(self) -> FleetReport:
        """Wait for its end, however it ends."""
        return await report_of_fleet(self._client, self.fleet)


class Ferry:
    """The door: a connection to the Temporal server where Ferry's workers poll."""

    def __init__(self, client: Client) -> None:
        """Of a client of your own: its data converter must be that of :func:`trust.converting.converter_of`."""
        self._client = client

    @classmethod
    async def connect(
        cls, address: str | None = None, namespace: str | None = None, payload_key: str | Sequence[str] = ()
    ) -> "Ferry":
        """To the server named; without, as TEMPORAL_ADDRESS or Temporal's own profile say, else localhost:7233.

        Args:
            payload_key: what payloads are encrypted with, by reference, as in ferry.toml: ``file:/etc/ferry/payload``.

        Raises:
            FerryError: ``temporal.unreachable``, ``temporal.certificate``, ``temporal.refused``; ``config.invalid`` for
                a key that is no reference.
        """
        # Temporal's SDK 1.35 crashes now and then when the interpreter ends right after its last call; a pause helps.
        atexit.unregister(_pause)
        atexit.register(_pause)
        keys = [payload_key] if isinstance(payload_key, str) else list(payload_key)
        try:
            config = TemporalConfig(address=address, namespace=namespace, payload_key=keys)
        except ValidationError as error:
            raise FerryError("config.invalid", fields_told(error)) from None
        return cls(await connect(config))

    async def start(self, **request: Any) -> Migration:
        """Begin. The words are the fields of :class:`contracts.request.MigrateVmRequest`; three are enough.

        Raises:
            FerryError: ``request.invalid`` naming the field, ``workflow.already_running``.
        """
        return Migration(self._client, (await begin(self._client, request_of(request))).id)

    def migration(self, vm: str, *, source: str) -> Migration:
        """One that was started before, by whomever."""
        return Migration(self._client, usual_workflow_id(source, vm))

    async def start_fleet(self, **request: Any) -> FleetOf:
        """Begin one. The words are the fields of :class:`contracts.fleet.MigrateFleetRequest`. Nothing is pinned, as a
        plan would: what became of its VMs since somebody looked, nobody compares.

        Raises:
            FerryError: ``request.invalid`` naming the field, ``fleet.already_running``.
        """
        from starter.planning.applying import begin_fleet

        try:
            asked = MigrateFleetRequest.model_validate(request)
        except ValidationError as error:
            raise FerryError("request.invalid", fields_told(error)) from None
        try:
            await begin_fleet(self._client, asked)
        except Exception as error:
            raise as_ferry_error(error) from None
        return FleetOf(self._client, asked.fleet)

    def fleet(self, name: str) -> FleetOf:
        """One that was begun before, by whomever."""
        return FleetOf(self._client, fleet_name(name))

    async def migrations(self, query: str = "ExecutionStatus = 'Running'") -> AsyncIterator[Migration]:
        """Those that a visibility query finds, such as ``FerryPhase = 'awaiting-approval'``."""
        async for each in self._client.list_workflows(f"WorkflowType = '{MIGRATE_VM}' AND ({query})"):
            yield Migration(self._client, each.id)
