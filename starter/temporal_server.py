"""The Temporal dev server of demos, tests and small installations: started, killed, restarted on the same file."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from contracts.errors import FerryError
from starter.temporal_cli import find_temporal_cli

READY_WITHIN = 60.0
"""Seconds. On an idle machine it takes one or two."""
STOP_WITHIN = 10.0
ANSWER_WITHIN = 5.0
PORTS_TRIED = 3


class DevServer:
    """One server on loopback, its state in ``folder``: it survives :meth:`kill` and :meth:`restart`.

    ``with DevServer(tmp_path) as server: await Client.connect(server.address)``. All calls block.
    """

    def __init__(self, folder: Path, *, cli: Path | None = None, port: int = 0) -> None:
        self._folder = folder
        self._cli = cli or find_temporal_cli()
        self._port_is_ours_to_choose = not port
        self.port = port or free_port()
        self.http_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.port}"

    @property
    def http_address(self) -> str:
        """``127.0.0.1:PORT`` of its HTTP API."""
        return f"127.0.0.1:{self.http_port}"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> "DevServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and return when its namespace answers; one that runs is left as it is.

        Raises:
            FerryError: ``temporal.unreachable`` with the end of its log.
        """
        if self.running:
            return
        tries = PORTS_TRIED if self._port_is_ours_to_choose else 1
        for _ in range(tries):
            log_end = self._try_to_start()
            if log_end is None:
                self._port_is_ours_to_choose = False  # clients know it now
                return
            if "address already in use" not in log_end:
                break
            self.port = free_port() if self._port_is_ours_to_choose else self.port
        raise FerryError("temporal.unreachable", f"the dev server did not come up; its log ends:\n{log_end}")

    def stop(self) -> None:
        """End it in order, or hard after ten seconds."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a power cut does it."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port and file, ended before in whatever way."""
        self.stop()
        self.start()

    def _try_to_start(self) -> str | None:
        """None when it answers, else the end of its log."""
        if _port_open(self.port):  # another's server would answer for ours, until ours finds out and ends
            return f"listen 127.0.0.1:{self.port}: address already in use"
        log = self._folder / "temporal.log"
        # Nobody's own TEMPORAL_* settings, certificates or profiles: this server is as it is written here.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")}
        with log.open("ab") as out:
            before = out.tell()
            self._process = subprocess.Popen(
                [
                    str(self._cli), "server", "start-dev", "--headless", "--ip", "127.0.0.1",
                    "--port", str(self.port), "--http-port", str(self.http_port),
                    "--db-filename", str(self._folder / "temporal.db"),
                    # The default journal is five times slower (temporal.md §0).
                    "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL",
                    "--log-level", "warn",
                ],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self.running:
            if _port_open(self.port) and _serves(self.address):
                return None
            time.sleep(0.05)
        self.stop()
        return log.read_bytes()[before:][-2000:].decode(errors="replace")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _port_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _serves(address: str) -> bool:
    """Whether the default namespace answers: the port is open before that."""
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.client import Client
    from temporalio.service import RPCError

    async def ask() -> None:
        client = await Client.connect(address)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))

    async def ask_with_deadline() -> None:
        await asyncio.wait_for(ask(), ANSWER_WITHIN)

    try:
        with ThreadPoolExecutor(1) as apart:  # the caller may be inside an event loop
            apart.submit(asyncio.run, ask_with_deadline()).result()
    except (RPCError, RuntimeError, OSError, TimeoutError):
        return False
    return True
