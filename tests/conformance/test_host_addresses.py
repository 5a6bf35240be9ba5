"""`[sources.NAME] hosts`: an ESXi host whose name the worker's resolver does not know is dialled by its address."""

from pathlib import Path
from typing import Any

import pytest

from contracts.errors import FerryError
from platforms.reaching import NO_NAME, reach
from tests.conformance.preflight.cases_source import NOWHERE
from tests.conformance.preflight.looking import Case, both_sides, look
from tests.conformance.xapi_target import errand

ADDRESS = {"hosts": {NOWHERE.upper(): "127.0.0.2"}}
ON_VSAN: dict[str, Any] = {"disks": [{"size_mib": 8, "datastore": "vsan1"}]}
NAMED: dict[str, Any] = {"hosts": [{"name": NOWHERE}]}


async def test_with_an_address_the_preflight_has_nothing_against_the_host(tmp_path: Path) -> None:
    looked = await look(tmp_path, Case("nothing", vcenter=NAMED, source=ADDRESS))

    assert looked.codes == {}


async def test_a_disk_that_only_an_unknown_host_could_export_stops_before_anything_is_touched(tmp_path: Path) -> None:
    looked = await look(tmp_path, Case("nothing", vm=ON_VSAN, vcenter=NAMED))

    assert looked.codes["preflight.no_transport"] == "blocker"
    assert looked.changes == ()


@pytest.mark.parametrize("known", [True, False])
def test_an_export_is_read_at_the_address_and_the_certificate_is_that_of_the_name(tmp_path: Path, known: bool) -> None:
    case = Case("nothing", vm=ON_VSAN, vcenter=NAMED, source=ADDRESS if known else {})
    with both_sides(tmp_path, case) as (vcenter, _, systems):
        vcenter.do("web01", "write", offset=4096, length=4096, byte=0x5A)
        source = systems.source("vc")
        machine = source.machine("web01")
        if not known:
            with pytest.raises(FerryError, match=r"gaierror|TimeoutError"):
                read_first(source, machine.machine_id)
            return
        content = read_first(source, machine.machine_id)

    assert content[:4096] == bytes(4096)
    assert content[4096:] == b"\x5a" * 4096


def read_first(source: Any, machine_id: str) -> bytes:
    source.claim(machine_id, errand().mark())
    freeze = source.freeze(machine_id, errand(machine_id=machine_id), 1, final=False)
    disk = source.open_disk(machine_id, freeze, freeze.disks[0].disk_id)
    try:
        buffer = bytearray(8192)
        disk.read_into(0, memoryview(buffer))
        return bytes(buffer)
    finally:
        disk.close()  # and with it the lease, which keeps the snapshot from being removed
        source.thaw(machine_id, errand().migration)


def test_a_name_that_leads_nowhere_and_a_silent_port_are_told_apart_within_seconds() -> None:
    answers = reach([(NOWHERE, 443), ("127.0.0.2", 1)])

    assert answers[(NOWHERE, 443)] == NO_NAME or "no answer" in answers[(NOWHERE, 443)]
    assert "refused" in answers[("127.0.0.2", 1)]
