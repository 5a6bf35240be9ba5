"""One preflight on both simulators, by the real activity; and the proof that it touched nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.preflight import PreflightActivities
from activities.systems import Systems
from contracts.config import FilesConfig, SourceConfig
from contracts.steps import Preflight, PreflightOrder
from disks.folder_store import FolderStore
from platforms.files.source import FilesSource
from platforms.ports import Source
from platforms.vsphere.source import VsphereSource
from simulators.vsphere.methods import PRIVILEGES
from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator
from tests.conformance.vsphere_lab import PASSWORD, running_vcenter
from tests.conformance.xapi_lab import running_pool
from tests.conformance.xapi_target import errand, target_at

WELL: dict[str, Any] = {
    "name": "web01", "power": "on", "nics": [{"mac": "00:50:56:aa:00:01"}],
    "disks": [{"size_mib": 8, "datastore": "nfs1"}], "change_tracking": True,
}  # fmt: skip
"""A machine that nothing speaks against."""

_CHANGES = ("create", "destroy", "set_", "add_to", "remove_from", "plug", "unplug", "start", "clone", "migrate")


@dataclass(frozen=True)
class Case:
    """One condition as the lab shows it: what differs from a lab that nothing speaks against.

    ``vm``, ``vcenter`` and ``pool`` are keys of the inventory; ``source`` and ``target`` of ferry.toml; ``order`` of
    the request; ``files`` writes appliances into a folder, which is then the source; ``before`` does to the running
    lab what an inventory cannot say.
    """

    code: str
    vm: dict[str, Any] = field(default_factory=dict)
    vcenter: dict[str, Any] = field(default_factory=dict)
    pool: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)
    before: Callable[[VsphereSimulator, XapiSimulator], None] | None = None
    files: Callable[[Path], object] | None = None
    name: str = ""
    called: str = "web01"

    @property
    def id(self) -> str:
        """What pytest calls it."""
        return f"{self.code} {self.name}".strip()


@dataclass(frozen=True)
class Looked:
    """What the preflight found, and what was changed meanwhile on either side (nothing)."""

    found: Preflight
    changes: tuple[str, ...]

    @property
    def codes(self) -> dict[str, str]:
        """Code to severity."""
        return {check.code: check.severity for check in self.found.checks}


@contextmanager
def both_sides(folder: Path, case: Case) -> Iterator[tuple[VsphereSimulator, XapiSimulator, Systems]]:
    """The lab of a case, and both clients."""
    (folder / "vc").mkdir(parents=True)
    (folder / "pool").mkdir()
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    named = {"networks": {"*": "lan"}, **case.target}
    with (
        running_vcenter(folder / "vc", {**WELL, **case.vm}, **case.vcenter) as vcenter,
        running_pool(folder / "pool", **case.pool) as pool,
        target_at(pool, folder / "pool", **named) as target,
    ):
        said = {
            "url": vcenter.url, "username": vcenter.said.user, "password": f"file:{secret}",
            "ca_file": folder / "vc" / "ca.pem", **case.source,
        }  # fmt: skip
        source: Source = VsphereSource("vc", SourceConfig.model_validate(said))
        if case.files is not None:
            case.files(folder / "exports")
            source = FilesSource("vc", FilesConfig(kind="files", folder=folder / "exports"))
        try:
            yield vcenter, pool, Systems({"vc": source}, {"pool": target}, FolderStore(folder / "store"))
        finally:
            source.close()


async def look(folder: Path, case: Case) -> Looked:
    """Run the preflight."""
    with both_sides(folder, case) as (vcenter, pool, systems):
        if case.before is not None:
            case.before(vcenter, pool)
        source_before, pool_before = vcenter.counted()["calls"], dict(pool.pool.stats.calls)
        order = PreflightOrder(errand=errand(source="vc", target="pool", vm=case.called), **case.order)
        found = await ActivityEnvironment().run(PreflightActivities(systems).preflight, order)
        changed = {
            *(each for each in vcenter.counted()["calls"] if each in PRIVILEGES and each not in source_before),
            *(
                each for each, times in pool.pool.stats.calls.items()
                if times > pool_before.get(each, 0) and each.partition(".")[2].startswith(_CHANGES)
            ),
        }  # fmt: skip
        return Looked(found, tuple(sorted(changed)))
