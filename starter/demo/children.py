"""Processes of the demo: each in its own process group, its output in a file, ended with all that it began."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from contracts.errors import FerryError

GRACE = 10.0
"""Seconds to end in order before it is ended hard."""


class Child:
    """One process. ``log``: what it says; ``out``: where its stdout goes, if not there too."""

    def __init__(
        self, name: str, command: list[str], logs: Path, *, environment: Mapping[str, str], own_stdout: bool = False
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self.out = logs / f"{name}.out" if own_stdout else self.log
        with self.log.open("ab") as log, self.out.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=dict(environment),
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises ``internal`` when it has ended by itself."""
        code = self._process.poll()
        if code is not None:
            raise FerryError("internal", f"the {self.name} ended with {code}")

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def ask_to_end(self) -> None:
        """SIGTERM; do not wait yet, so that several end at once."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)

    def end(self) -> None:
        """See it ended, hard if need be, with whatever is left of its group."""
        deadline = time.monotonic() + GRACE
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, how: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
