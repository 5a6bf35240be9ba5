"""The lives of a worker: started, killed, seen dead, started again with the aims that are left."""

import asyncio
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from contracts.names import Attribute
from tests.crash.aiming import Orders
from tests.end_to_end.running import BIN, Programs

_PHASE = SearchAttributeKey.for_keyword(Attribute.PHASE)


@dataclass(frozen=True)
class Kill:
    """One death: what the worker had in hand, and in which phase the migration was."""

    phase: str
    hit: tuple[str, ...]
    blind: bool = False


class Lives:
    """Keeps a worker alive, and notes how each died."""

    def __init__(self, running: Programs, client: Client, workflow: str, orders: Orders) -> None:
        self._running, self._client, self._workflow, self._orders = running, client, workflow, orders
        self._aims = [asdict(aim) for aim in orders.aims]
        self._log = running.folder / "activities.jsonl"
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        self.kills: list[Kill] = []
        self.over = False

    async def keep(self) -> None:
        """Until :attr:`over`: one life after the other."""
        blind: float | None = self._orders.blind
        while not self.over:
            process = self._process = self._begin()
            began = time.monotonic()
            killed_blindly = False
            while process.poll() is None and not self.over:
                if blind is not None and time.monotonic() - began > blind:
                    blind, killed_blindly = None, True
                    os.killpg(process.pid, signal.SIGKILL)
                await asyncio.sleep(0.02)
            if self.over:
                return
            if process.returncode != -signal.SIGKILL:
                told = (self._running.folder / "worker.log").read_text()[-3000:]
                raise AssertionError(f"the worker ended by itself with {process.returncode}:\n{told}")
            self.kills.append(await self._post_mortem(process.pid, blind=killed_blindly))

    def _begin(self) -> "subprocess.Popen[bytes]":
        aims = self._running.folder / "aims.json"
        aims.write_text(json.dumps(self._aims))
        return self._running.begin(
            "worker", str(BIN / "python"), "-m", "tests.crash.worker_under_fire", str(aims), str(self._log),
            "--config", str(self._running.config),
        )  # fmt: skip

    async def _post_mortem(self, pid: int, *, blind: bool) -> Kill:
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        mine = [line for line in lines if line["pid"] == pid]
        ended = {line["id"] for line in mine if line["event"] == "end"}
        hit = tuple(line["activity"] for line in mine if line["event"] == "begin" and line["id"] not in ended)
        begun = [line["activity"] for line in lines if line["event"] == "begin"]
        # The aim that was met is among the hit; it is spent.
        met = [aim for aim in self._aims if aim["activity"] in hit and begun.count(aim["activity"]) > aim["skip"]]
        if not blind and met:
            self._aims.remove(met[0])
        return Kill(await self._phase(), hit, blind)

    async def _phase(self) -> str:
        try:
            described = await self._client.get_workflow_handle(self._workflow).describe()
        except RPCError:
            return "before"
        running = described.status is WorkflowExecutionStatus.RUNNING
        return str(described.typed_search_attributes.get(_PHASE, "preflight")) if running else "between"

    @property
    def aims_left(self) -> list[Any]:
        """What was never met."""
        return self._aims
