"""A real NFSv3 server (nfs-ganesha, with rpcbind), in a network namespace where nobody else can reach it."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import not_tested, require_tool

CONFIG = """
NFS_CORE_PARAM {{ Protocols = 3; NFS_Port = 2049; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSv4 {{ Graceless = true; RecoveryBackend = fs; }}
EXPORT {{
  Export_Id = 1; Path = {path}; Pseudo = /export; Access_Type = RO; Squash = No_Root_Squash; Protocols = 3;
  Transports = TCP; SecType = sys; FSAL {{ Name = VFS; }}
}}
"""


def require_network_of_its_own() -> str:
    """Where `unshare` is, on a machine where the server can run in a network namespace."""
    for program, package in (("ganesha.nfsd", "nfs-ganesha-vfs"), ("rpcbind", "rpcbind"), ("ip", "iproute2")):
        require_tool(program, package)
    if os.geteuid() != 0:
        not_tested("a network namespace takes root: our NFS client is NOT tested against nfs-ganesha")
    return require_tool("unshare", "util-linux")


class Ganesha:
    """The server of one export."""

    def __init__(self, folder: Path, export: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "ganesha.conf").write_text(CONFIG.format(path=export))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers."""
        arguments = ["-F", "-f", "ganesha.conf", "-L", "ganesha.log", "-p", "ganesha.pid"]
        self._process = subprocess.Popen(["ganesha.nfsd", *arguments], cwd=self._folder)
        for _ in range(120):
            told = subprocess.run(["rpcinfo", "-t", "127.0.0.1", "nfs", "3"], capture_output=True, check=False)
            if told.returncode == 0:
                return
            time.sleep(0.25)
        raise AssertionError((self._folder / "ganesha.log").read_text()[-2000:])

    @property
    def pid(self) -> int:
        """Of the program that runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """At once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def serving(folder: Path, export: Path) -> Iterator[Ganesha]:
    """Both programs, until the end of the block. Only inside ``unshare -n``."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    rpcbind = subprocess.Popen(["rpcbind", "-f", "-w"], stderr=subprocess.DEVNULL)
    server = Ganesha(folder, export)
    try:
        time.sleep(0.3)
        server.start()
        yield server
    finally:
        server.kill()
        rpcbind.kill()
        rpcbind.wait()
