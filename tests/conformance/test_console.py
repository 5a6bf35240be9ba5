"""A look at a started target's console: text, a picture, or a note why there is neither."""

import json
import threading
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

import activities.smoke
import platforms.xapi.console
from activities.smoke import SmokeActivities
from activities.systems import Systems
from contracts.after import SmokeOrder, SmokeReport
from contracts.errors import FerryError
from disks.folder_store import FolderStore
from platforms.xapi.target import XapiTarget
from simulators.xapi import consoles
from tests.conformance.test_smoke import started
from tests.conformance.xapi_target import errand, pool_and_target

DRACUT = "\x1b[1;31mWarning:\x1b[0m dracut-initqueue: timeout\r\nWarning: /dev/mapper/ol-root does not exist\r\n"


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities.smoke, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(platforms.xapi.console, "TEXT_SECONDS", 0.5)


async def look(target: XapiTarget, vm: str, folder: Path, **more: object) -> SmokeReport:
    steps = SmokeActivities(Systems({}, {"pool": target}, FolderStore(folder / "store")))
    said = {"errand": errand(), "vm": vm, "within": timedelta(seconds=0.3), "console": True, **more}
    order = SmokeOrder.model_validate(said)
    report: SmokeReport = await ActivityEnvironment().run(steps.smoke_target, order)
    return report


async def test_a_guest_that_has_no_text_gives_a_picture_in_the_store(tmp_path):
    with pool_and_target(tmp_path, speed=10) as (_, target):
        shell = started(target)

        report = await look(target, shell.vm, tmp_path)

    assert report.passed
    assert report.console is not None
    assert report.console.note == ""
    picture = (tmp_path / "store" / report.console.picture).read_bytes()
    at = picture.index(b"IDAT") + 4
    size = int.from_bytes(picture[at - 8 : at - 4], "big")
    rows = zlib.decompress(picture[at : at + size])
    line = consoles.WIDTH * 3 + 1
    assert len(rows) == line * consoles.HEIGHT
    assert rows[1:4] == b"\xff\0\0", "red above"
    assert rows[-3:] == b"\0\0\xff", "blue below"


async def test_a_boot_that_found_no_root_is_named(tmp_path):
    with pool_and_target(tmp_path, speed=10, console_text=DRACUT) as (_, target):
        report = await look(target, started(target).vm, tmp_path)

    assert report.console is not None
    assert report.console.text.splitlines()[0] == "Warning: dracut-initqueue: timeout"
    assert report.console.diagnosis == "smoke.no_root_device"
    assert "smoke.no_root_device" in report.missing[0]


async def test_a_guest_that_lives_fails_by_nothing_that_was_printed_on_its_way(tmp_path):
    with pool_and_target(tmp_path, speed=10, console_text=DRACUT) as (_, target):
        report = await look(target, started(target).vm, tmp_path, guest_tools=True, within=timedelta(seconds=10))

    assert report.console is not None
    assert report.console.diagnosis == "smoke.no_root_device"
    assert report.missing == ()


async def test_who_is_called_off_waits_for_no_console(tmp_path):
    with pool_and_target(tmp_path, speed=10) as (_, target):
        vm = started(target).vm
        cut = threading.Event()
        cut.set()
        steps = SmokeActivities(Systems({}, {"pool": target}, FolderStore(tmp_path / "store")))
        order = SmokeOrder(errand=errand(), vm=vm, console=True)
        told = steps._told(target, order, SmokeReport(vitals=target.vitals(vm)), "name", cut)

    assert told.console is None


async def test_nobody_is_pushed_out_and_the_test_goes_on_without(tmp_path):
    with pool_and_target(tmp_path, speed=10, limit_console_sessions=True) as (simulator, target):
        shell = started(target)
        vm = simulator.db.by_uuid("VM", shell.vm)
        simulator.pool.watchers[vm] = 1

        report = await look(target, shell.vm, tmp_path)
        assert report.passed
        assert report.console is not None
        assert report.console.note.startswith("smoke.console_busy")

        simulator.pool.watchers[vm] = 0
        assert (await look(target, shell.vm, tmp_path)).console.picture


async def test_a_session_that_ended_is_renewed_and_never_told(tmp_path, caplog):
    with pool_and_target(tmp_path, speed=10) as (simulator, target):
        shell = started(target)
        session = target._api.session()

        def refused(*_: object) -> tuple[int, str]:
            return 403, ""

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(consoles, "admitted", refused)
            with pytest.raises(FerryError) as failed:
                target.console(shell.vm)
            told = json.dumps((await look(target, shell.vm, tmp_path)).model_dump(mode="json"))
        simulator.pool.sessions.end_all()
        assert target.console(shell.vm)[1]

    assert failed.value.code == "smoke.console_unreadable"
    assert session not in str(failed.value) + failed.value.message + told + caplog.text
