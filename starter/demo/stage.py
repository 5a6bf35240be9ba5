"""The stage of the demo: a folder, a Temporal server, a lab and a worker; cleared away whatever happens."""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from contracts.errors import FerryError
from starter.commands.lab import lab_command
from starter.demo.children import Child
from starter.demo.inventory import make_lab
from starter.temporal_server import DevServer

LAB_READY_WITHIN = 60.0


class Stage:
    """Everything that runs. ``lab_folder`` is the lab's own: ferry.toml, store and disks are where DESIGN §5 says."""

    def __init__(self, keep_in: Path | None) -> None:
        self._kept = keep_in is not None
        if keep_in is not None and keep_in.exists() and any(keep_in.iterdir()):
            raise FerryError("request.invalid", f"--state: {keep_in} is not empty; name a new folder")
        self.folder = (keep_in or Path(tempfile.mkdtemp(prefix="ferry-demo-"))).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lab_folder = self.folder / "lab"
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.server: DevServer | None = None
        self.lab: Child | None = None
        self.worker: Child | None = None

    @property
    def config(self) -> Path:
        """The file that the lab writes."""
        return self.lab_folder / "ferry.toml"

    @property
    def store(self) -> Path:
        """Where the journals are."""
        return self.lab_folder / "store"

    @property
    def address(self) -> str:
        """Of the Temporal server."""
        assert self.server is not None
        return self.server.address

    def build(self) -> None:
        """Start server and lab; the worker is for the story to start (and to kill)."""
        inventory = make_lab(self.folder)
        # The lab opens its disks while the server comes up.
        self.lab = Child(
            "lab", lab_command(inventory, self.lab_folder), self.logs, environment=self._environment(), own_stdout=True
        )
        self.server = DevServer(self.folder / "temporal")
        self.server.start()
        self._wait_for_lab(self.lab)

    def start_worker(self) -> None:
        """A worker as an operator starts it."""
        command = [sys.executable, "-m", "worker", "--config", str(self.config)]
        self.worker = Child("worker", command, self.logs, environment=self._environment())

    def check(self) -> None:
        """Raises when a process ended that should not have."""
        for child in (self.lab, self.worker):
            if child is not None:
                child.check()

    def tails(self) -> str:
        """The ends of all logs, for whoever must find out."""
        children = [child for child in (self.lab, self.worker) if child is not None]
        return "\n".join(f"--- {child.log.name}\n{child.tail()}" for child in children)

    def clear(self) -> None:
        """End everything; the folder goes too, unless it was asked for."""
        children = [child for child in (self.worker, self.lab) if child is not None]
        try:
            for child in children:
                child.ask_to_end()
            for child in children:
                child.end()
            if self.server is not None:
                self.server.stop()
        finally:
            if not self._kept:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_for_lab(self, lab: Child) -> None:
        """The lab says one JSON line when it is ready."""
        deadline = time.monotonic() + LAB_READY_WITHIN
        while time.monotonic() < deadline:
            lab.check()
            line, whole, _ = lab.out.read_text(errors="replace").partition("\n")
            if whole:
                json.loads(line)
                return
            time.sleep(0.05)
        raise FerryError("internal", f"the lab was not ready within {LAB_READY_WITHIN:.0f} s")

    def _environment(self) -> dict[str, str]:
        """Ours, without what would lead the children to somebody's real Temporal or systems."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "FERRY_"))}
        nobody = self.folder / "temporal.toml"
        nobody.touch()
        named = {"TEMPORAL_CONFIG_FILE": str(nobody), "PYTHONUNBUFFERED": "1"}
        if self.server is not None:
            named |= {"TEMPORAL_ADDRESS": self.server.address, "TEMPORAL_NAMESPACE": "default"}
        return kept | named
