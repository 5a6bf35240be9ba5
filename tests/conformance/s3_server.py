"""A real object store on loopback, over TLS: Versity's S3 gateway, which keeps objects as files."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.config import S3Config
from simulators.authority import Authority
from starter.go_tools import build_with_go
from tests.conftest import not_tested

BUCKET = "ferry"


class S3Server:
    """Its bucket is the folder ``objects/ferry``."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.bucket = folder / "objects" / BUCKET
        self.bucket.mkdir(parents=True)
        Authority(folder).server_context("127.0.0.1")
        self._keys = {"access": f"AK{secrets.token_hex(8)}", "secret": secrets.token_urlsafe(24)}
        for name, key in self._keys.items():
            (folder / name).write_text(key + "\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def config(self, **more: object) -> S3Config:
        """What ferry.toml says of it."""
        return S3Config.model_validate(
            {
                "bucket": BUCKET,
                "endpoint": f"https://127.0.0.1:{self._port}",
                "region": "us-east-1",
                "access_key": f"file:{self._folder}/access",
                "secret_key": f"file:{self._folder}/secret",
                "ca_file": self._folder / "ca.pem",
                **more,
            }
        )

    def start(self) -> None:
        """Until it accepts connections."""
        words = ["--port", f"127.0.0.1:{self._port}", "--quiet", "--cert", f"{self._folder}/127.0.0.1.pem"]
        environment = {
            **os.environ, "ROOT_ACCESS_KEY": self._keys["access"], "ROOT_SECRET_KEY": self._keys["secret"],
        }  # fmt: skip
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *words, "--key", f"{self._folder}/127.0.0.1.key", "posix", self.bucket.parent],
                env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", self._port)):
                    return
            time.sleep(0.05)
        raise AssertionError(f"no S3 server: {(self._folder / 'server.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Killed: what it has acknowledged stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """One that serves until the end of the block. Without Go the test is skipped loudly; in CI that is a failure."""
    program = build_with_go("versitygw", takes="two minutes") if shutil.which("go") else None
    if program is None:
        not_tested("the S3 server could not be built (it takes Go): the store in a bucket is NOT tested")
    server = S3Server(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
