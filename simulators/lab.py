"""Both simulators as one lab in one folder: certificates, secrets, and the ferry.toml that names them.

DIR/ferry.toml   names them [sources.vsphere] and [targets.<pool>], secrets as file:DIR/…
DIR/ca.pem       what to trust
DIR/store        for the worker
DIR/vsphere/<datastore>/<vm>/   the source's disk files
DIR/xcpng/<SR>/<VDI uuid>.*     the target's, and state.json
"""

import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from simulators.authority import Authority
from simulators.clock import Clock
from simulators.inventory import Inventory
from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator

_MARK = ".ferry-lab"
_AWKWARD = ':"$ü%'
"""What real passwords hold, and careless programs trip over: in URLs, shells, XML, JSON, anything but ASCII."""


class Lab:
    """A running lab. Its folder is made anew: what an earlier lab left there is removed."""

    def __init__(
        self, inventory: Inventory, folder: Path, *, speed: float = 1.0, vsphere_port: int = 0, xapi_port: int = 0
    ) -> None:
        self.folder = folder.resolve()
        _make_room(self.folder)
        self.authority = Authority(self.folder)
        self.clock = Clock(speed)
        self._inventory = inventory
        self._passwords = {name: self._secret(name) for name in ("vsphere", "xcpng")}
        self.vsphere = VsphereSimulator(
            inventory.vsphere,
            self.folder / "vsphere",
            self.authority,
            port=vsphere_port,
            clock=self.clock,
            password=self._passwords["vsphere"],
        )
        self.xapi = XapiSimulator(
            inventory.xcpng,
            self.folder / "xcpng",
            self.authority,
            port=xapi_port,
            clock=self.clock,
            password=self._passwords["xcpng"],
        )

    @property
    def config_file(self) -> Path:
        """What a worker and the `ferry` command are given."""
        return self.folder / "ferry.toml"

    def __enter__(self) -> "Lab":
        self.vsphere.start()
        self.xapi.start()
        self.config_file.write_text(self._config())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vsphere.stop()
        self.xapi.stop()

    def addresses(self) -> dict[str, Any]:
        """What `ferry lab up` prints when it is ready."""
        return {
            "vsphere": self.vsphere.url,
            "xapi": self.xapi.url,
            "pool": self._inventory.xcpng.pool,
            "config": str(self.config_file),
            "state": str(self.folder),
        }

    def _secret(self, name: str) -> str:
        file = self.folder / f"{name}.password"
        file.touch(mode=0o600)
        password = _AWKWARD + secrets.token_urlsafe(18)
        file.write_text(password + "\n", encoding="utf-8")
        return password

    def _config(self) -> str:
        inventory = self._inventory
        default_sr = f'sr = "{inventory.xcpng.srs[0].name}"\n' if inventory.xcpng.srs else ""
        networks = f'networks = {{ "*" = "{inventory.xcpng.networks[0].name}" }}\n' if inventory.xcpng.networks else ""
        return (
            "# Written by the lab.\n"
            "[sources.vsphere]\n"
            'kind = "vsphere"\n'
            f'url = "{self.vsphere.url}"\n'
            f'username = "{inventory.vsphere.user}"\n'
            f'password = "file:{self.folder / "vsphere.password"}"\n'
            f'ca_file = "{self.authority.ca_file}"\n\n'
            f'[targets."{inventory.xcpng.pool}"]\n'
            'kind = "xcp-ng"\n'
            f'url = "{self.xapi.url}"\n'
            f'username = "{inventory.xcpng.user}"\n'
            f'password = "file:{self.folder / "xcpng.password"}"\n'
            f'ca_file = "{self.authority.ca_file}"\n'
            f"{default_sr}{networks}\n"
            "[store]\n"
            f'path = "{self.folder / "store"}"\n'
        )


def _make_room(folder: Path) -> None:
    """An empty folder, or an earlier lab's, which is emptied.

    Raises:
        ValueError: the folder holds something that is no lab's: nothing of it is touched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    if mark.exists():
        for each in ("vsphere", "xcpng", "store"):
            shutil.rmtree(folder / each, ignore_errors=True)
    elif any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no lab: name an empty folder with --state")
    mark.touch()
