"""The programs of a whole installation, as an operator starts them: Temporal, the lab, a worker, `ferry`."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.service import RPCError

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


class Programs:
    """Started in process groups of their own; all ended with the block."""

    def __init__(self, folder: Path, address: str, namespace: str = "default") -> None:
        self.folder, self.state = folder, folder / "lab"
        self.environment = {
            **os.environ, "TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": namespace, "NO_COLOR": "1",
            "COLUMNS": "160",
        }  # fmt: skip
        self._running: list[subprocess.Popen[Any]] = []
        self.worker_now: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        """The lab's ferry.toml."""
        return self.state / "ferry.toml"

    def begin(self, name: str, *words: str) -> "subprocess.Popen[bytes]":
        """A program in the background; its talk goes to a file."""
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def lab(self, inventory: Path, *, speed: float = 1.0) -> None:
        """`ferry lab up`, until it has said that it is ready."""
        words = ["--inventory", str(inventory), "--state", str(self.state), "--speed", str(speed)]
        self.begin("lab", str(BIN / "ferry"), "lab", "up", *words)
        self.until(lambda: self.config.exists() and '"vsphere"' in (self.folder / "lab.log").read_text(), "lab")

    def worker(self) -> "subprocess.Popen[bytes]":
        """A worker that polls."""
        (self.folder / "worker.log").unlink(missing_ok=True)
        process = self.worker_now = self.begin("worker", str(BIN / "python"), "worker.py", "--config", str(self.config))
        self.until(lambda: "ready" in (self.folder / "worker.log").read_text(), "worker")
        return process

    def ferry(self, *words: str, seconds: float = 120) -> "subprocess.CompletedProcess[str]":
        """One `ferry` command, to its end."""
        return subprocess.run(
            [str(BIN / "ferry"), *words, "--config", str(self.config)], cwd=ROOT, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip

    def vcenter(self, door: str, **said: Any) -> Any:
        """The lab's own door at the vCenter: ``state``, or what somebody else does, ``vms/NAME/power``."""
        return self._door("vsphere", door, said)

    def xapi(self, door: str, **said: Any) -> Any:
        """The lab's own door at the pool: ``stats``, ``power``, ``left``, ``faults``."""
        return self._door("xapi", door, said)

    def mend(self) -> None:
        """No more trouble on order, on either side."""
        for system in ("vsphere", "xapi"):
            self._door(system, "faults", None)

    def _door(self, system: str, door: str, said: dict[str, Any] | None) -> Any:
        url = json.loads((self.folder / "lab.log").read_text().splitlines()[0])[system] + f"/lab/{door}"
        with httpx.Client(verify=ssl.create_default_context(cafile=str(self.state / "ca.pem"))) as client:
            verb = "DELETE" if said is None else "POST" if said else "GET"
            answer = client.request(verb, url, json=said or None)
        return answer.raise_for_status().json()

    def pool(self) -> dict[str, Any]:
        """The pool's VMs by name."""
        state = json.loads((self.state / "xcpng" / "state.json").read_text())
        return {vm["name"]: vm for vm in state["vms"]}

    def until(self, wanted: Any, name: str, seconds: float = 120) -> None:
        """Wait for something that a program does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if wanted():
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} never came:\n{(self.folder / f'{name}.log').read_text()[-3000:]}")

    def end(self) -> None:
        """End all that still run; migrations too, or one that a failed test left would fail the tests after it."""
        with ThreadPoolExecutor(1) as apart, contextlib.suppress(RuntimeError, RPCError):
            apart.submit(asyncio.run, self._end_migrations()).result()
        for process in reversed(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    async def _end_migrations(self) -> None:
        client = await Client.connect(
            self.environment["TEMPORAL_ADDRESS"], namespace=self.environment["TEMPORAL_NAMESPACE"]
        )
        async for each in client.list_workflows("ExecutionStatus='Running'"):
            await client.get_workflow_handle(each.id).terminate("the test is over")


@contextmanager
def programs(folder: Path, address: str, namespace: str = "default") -> Iterator[Programs]:
    """An installation that is gone when the block ends."""
    made = Programs(folder, address, namespace)
    try:
        yield made
    finally:
        made.end()
