"""An NBD server of our own for a while: qemu-nbd or nbdkit behind a unix socket that nobody else can open."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from disks.nbd import NbdDisk
from disks.nbd_connection import NbdAddress, NbdError

READY_SECONDS = 60.0
MOST_TOLD = 600


class NbdServer:
    """A program that serves one export until it is closed.

    Args:
        command: how to start it; ``{socket}`` stands for the socket's path.
        secret: what it reads from a file descriptor whose number stands for ``{secret}``: never argv, never a file.

    Raises:
        NbdError: it is not there, or ended before it answered; with its own last words.
    """

    def __init__(self, command: Sequence[str], *, secret: str = "", ready_within: float = READY_SECONDS) -> None:
        program = shutil.which(command[0])
        if program is None:
            raise NbdError(f"{command[0]} is not installed on this worker", meant=True)
        self._secret = secret
        self._folder = tempfile.TemporaryDirectory(prefix="ferry-nbd-")  # mode 0700
        self._log = (Path(self._folder.name) / "log").open("w+b")
        self.address = NbdAddress(unix=str(Path(self._folder.name) / "socket"))
        reading = -1
        if secret:
            reading, writing = os.pipe()
            os.write(writing, secret.encode() + b"\n")
            os.close(writing)
        said = [each.replace("{socket}", self.address.unix).replace("{secret}", str(reading)) for each in command[1:]]
        try:
            self._process = subprocess.Popen(
                [program, *said], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                pass_fds=(reading,) if secret else (),
            )  # fmt: skip
        finally:
            if secret:
                os.close(reading)
        try:
            self._until_ready(ready_within)
        except BaseException:
            self.close()
            raise

    def open(self) -> NbdDisk:
        """A client of it."""
        return NbdDisk(self.address)

    def _until_ready(self, within: float) -> None:
        deadline, pause = time.monotonic() + within, 0.02
        while True:
            if self._process.poll() is not None:
                raise NbdError(f"it ended with {self._process.returncode}: {self.told()}", meant=True)
            with contextlib.suppress(NbdError, OSError):
                NbdDisk(self.address).close()
                return
            if time.monotonic() > deadline:
                raise NbdError(f"it did not answer within {within:.0f} s: {self.told()}")
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)

    def told(self) -> str:
        """Its last words, without the secret."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 4096))
        words = " ".join(self._log.read().decode(errors="replace").split())[-MOST_TOLD:]
        return words.replace(self._secret, "***") if self._secret else words

    def close(self) -> None:
        """End it. Closing twice does nothing."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        self._folder.cleanup()


def qemu_nbd(image: Path, form: str) -> NbdServer:
    """A file of any format that qemu knows, read-only.

    Args:
        form: named, never probed: a guest could write another format's magic into a raw disk.
    """
    return NbdServer(
        ["qemu-nbd", "--read-only", "--persistent", "--shared=4", f"--format={form}", "--socket={socket}", str(image)]
    )
