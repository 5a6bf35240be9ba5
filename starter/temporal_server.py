"""The Temporal dev server of demos, tests and small installations: found or built, started, killed, restarted."""

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from contracts.errors import FerryError

TOOLS = Path(__file__).resolve().parent.parent / "tools" / "temporal"
READY_WITHIN = 60.0
DOWNLOAD_WITHIN = 120.0


def find_temporal_cli() -> Path:
    """The `temporal` program: ``TEMPORAL_CLI``, else on PATH, else cached, else downloaded, else built with Go.

    Raises:
        FerryError: ``temporal.no_server``, telling all the ways to get one.
    """
    if named := os.environ.get("TEMPORAL_CLI"):
        if os.access(named, os.X_OK):
            return Path(named)
        raise FerryError("temporal.no_server", f"TEMPORAL_CLI names {named}, which cannot be run")
    if found := shutil.which("temporal"):
        return Path(found)
    cached = _cache() / "temporal"
    if cached.exists():
        return cached
    return _downloaded(cached) or _built(cached) or _missing()


def _cache() -> Path:
    """A folder per pinned version, outside the clone: a second clone builds nothing."""
    pinned = (TOOLS / "go.sum").read_bytes() if (TOOLS / "go.sum").exists() else b""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ferry" / f"temporal-{hashlib.sha256(pinned).hexdigest()[:12]}"


def _downloaded(cached: Path) -> Path | None:
    """The SDK's own download; None where the network does not allow it."""
    from temporalio.testing import WorkflowEnvironment

    _say("downloading the Temporal dev server (the SDK's own download) …")
    cached.parent.mkdir(parents=True, exist_ok=True)

    async def fetch() -> None:
        environment = await WorkflowEnvironment.start_local(download_dest_dir=str(cached.parent))
        await environment.shutdown()

    try:
        asyncio.run(asyncio.wait_for(fetch(), DOWNLOAD_WITHIN))
    except (RuntimeError, OSError, TimeoutError):
        _say("… not to be had that way")
        return None
    for each in sorted(cached.parent.iterdir()):
        if each.name.startswith("temporal-sdk") and os.access(each, os.X_OK):
            each.rename(cached)
            return cached
    return None


def _built(cached: Path) -> Path | None:
    """``go install`` of the pinned module; None where there is no Go, or it fails."""
    go = shutil.which("go")
    if go is None or not (TOOLS / "go.mod").exists():
        return None
    _say("building the Temporal dev server with Go: about three minutes, once …")
    cached.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    built = subprocess.run(
        [go, "install", "tool"],
        cwd=TOOLS,
        env={**os.environ, "GOBIN": str(cached.parent), "GOFLAGS": "-mod=mod -buildvcs=false"},
        stdout=sys.stderr,
        check=False,
    )
    if built.returncode or not cached.exists():
        _say(f"… go install ended with {built.returncode}")
        return None
    _say(f"… built in {time.monotonic() - began:.0f} s: {cached}")
    return cached


def _missing() -> Path:
    raise FerryError(
        "temporal.no_server",
        "no Temporal server: put `temporal` on PATH, name it in TEMPORAL_CLI, or install Go so that it can be built",
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class DevServer:
    """One server on loopback, its state in a file: it survives :meth:`kill` and :meth:`restart`."""

    def __init__(self, folder: Path, *, cli: Path | None = None, port: int = 0) -> None:
        self._folder = folder
        self._cli = cli or find_temporal_cli()
        self.port = port or _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "DevServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and return when it answers.

        Raises:
            FerryError: ``temporal.unreachable`` with the end of its log.
        """
        log = self._folder / "temporal.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    str(self._cli), "server", "start-dev", "--headless", "--ip", "127.0.0.1",
                    "--port", str(self.port), "--db-filename", str(self._folder / "temporal.db"),
                    # The default journal is five times slower (temporal.md §0).
                    "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL",
                    "--log-level", "warn",
                ],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            if _answers(self.port) and asyncio.run(_serves(self.address)):
                return
            time.sleep(0.1)
        self.stop()
        tail = log.read_text(errors="replace")[-2000:]
        raise FerryError("temporal.unreachable", f"the dev server did not come up; its log ends:\n{tail}")

    def stop(self) -> None:
        """End it in order, or hard after ten seconds."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a power cut does it."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port and file."""
        self.start()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _serves(address: str) -> bool:
    """Whether the default namespace answers: the port is open before that."""
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.client import Client

    try:
        client = await Client.connect(address)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    except Exception:
        return False
    return True


def main() -> int:
    """``make setup``: say where things are."""
    try:
        cli = find_temporal_cli()
    except FerryError as error:
        _say(f"error[{error.code}]: {error.message}")
        return 1
    here = Path(sys.executable).parent
    print(f"ferry     {here / 'ferry'}\npython    {here / 'python'}\ntemporal  {cli.parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
