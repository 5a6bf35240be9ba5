"""Our client at a simulated pool: login and session, the shell, and what may be started."""

import re

import pytest

from contracts.errors import FerryError
from contracts.machine import Firmware, Power
from platforms.xapi.connection import Connection
from simulators.faults import FaultRule
from tests.conformance.xapi_lab import logged_in, running_pool
from tests.conformance.xapi_target import (
    MIB,
    errand,
    file_of,
    machine,
    made_shell,
    noise,
    order_for,
    pool_and_target,
    send,
    stored,
    target_at,
)


@pytest.fixture
def both(tmp_path):
    with pool_and_target(tmp_path, speed=10) as both:
        yield both


def refused(work, *args, **more):
    with pytest.raises(FerryError) as told:
        work(*args, **more)
    return told.value.code


def vm_record(simulator, shell):
    return simulator.db.get("VM", simulator.db.by_uuid("VM", shell.vm))


def count(simulator, kind):
    return len([each for each in simulator.db.all(kind).values() if not each.get("is_control_domain")])


def test_a_machine_is_made_filled_read_back_and_started(both):
    simulator, target = both
    first, last = noise(1, 3 * MIB), noise(2, 4096 + 512)
    odd = machine().disks[1].capacity

    shell = made_shell(target)
    send(target, shell, 0, {8 * MIB: first, 0: first[:4096]})
    send(target, shell, 1, {odd - 4096 - 512: last})
    mark = errand().mark()
    snapshot = target.snapshot_shell(shell.vm, errand())
    target.unblock(shell.vm, mark)
    target.start(shell.vm, mark)

    for disk in shell.disks:
        assert stored(target, snapshot.vdis[disk.vdi]) == file_of(simulator, disk.vdi)
    content = file_of(simulator, shell.disks[0].vdi)
    assert content[8 * MIB : 11 * MIB] == first
    assert content[:4096] == first[:4096]
    assert content.count(0, 4096, 8 * MIB) == 8 * MIB - 4096
    assert file_of(simulator, shell.disks[1].vdi)[:odd].endswith(last)
    assert target.power(shell.vm) is Power.ON


# -- login and session


def test_a_refused_password_is_tried_once_and_another_one_at_once(tmp_path):
    with running_pool(tmp_path) as simulator, target_at(simulator, tmp_path) as target:
        secret = tmp_path / "password"
        right = secret.read_text()
        secret.write_text("wrong\n")

        codes = [refused(target.check) for _ in range(5)]
        tried = simulator.pool.stats.calls["session.login_with_password"]
        secret.write_text(right)

        assert codes == ["xapi.login_refused"] * 5
        assert tried == 1
        assert "lab" in target.check()


def test_an_ended_session_is_renewed_without_a_word(both):
    simulator, target = both
    target.check()
    simulator.pool.sessions.end_all()

    assert target.check()
    assert simulator.pool.sessions.open() == 1


def test_a_restarted_toolstack_is_logged_in_to_again(both):
    simulator, target = both
    shell = made_shell(target)

    simulator.restart()

    assert target.power(shell.vm) is Power.OFF


def test_a_member_sends_us_to_the_coordinator(tmp_path):
    hosts = [{"name": "one"}, {"name": "two"}]
    with (
        running_pool(tmp_path, hosts=hosts) as simulator,
        target_at(simulator, tmp_path, url=simulator.urls[1]) as target,
    ):
        assert target.facts(None).sr_uuid


def test_a_pool_whose_certificate_nobody_signed_is_refused_before_the_password(tmp_path):
    with (
        running_pool(tmp_path) as simulator,
        target_at(simulator, tmp_path, ca_file=None, tls_sha256=["00" * 32]) as target,
    ):
        assert refused(target.check) == "xapi.certificate"
        assert simulator.pool.stats.calls["session.login_with_password"] == 0


def test_all_sessions_are_given_back_in_the_end(tmp_path):
    with running_pool(tmp_path) as simulator:
        with target_at(simulator, tmp_path) as target:
            target.check()
            assert simulator.pool.sessions.open() == 1
        assert simulator.pool.sessions.open() == 0


# -- the shell


def test_the_shell_is_the_machine_as_it_was(both):
    simulator, target = both
    shell = made_shell(target)
    record = vm_record(simulator, shell)
    vifs = sorted((simulator.db.get("VIF", each) for each in record["VIFs"]), key=lambda vif: vif["device"])
    vbds = sorted((simulator.db.get("VBD", each) for each in record["VBDs"]), key=lambda vbd: int(vbd["userdevice"]))

    assert record["name_label"] == "web01"
    assert record["name_description"].startswith("the shop\nsecond line")
    assert {"prod", "shop"} <= set(record["tags"])
    assert (record["VCPUs_max"], record["platform"]["cores-per-socket"]) == (4, "2")
    assert record["memory_static_max"] == 2048 * MIB
    assert record["HVM_boot_params"]["firmware"] == "uefi"
    assert [(vif["MAC"], vif["device"]) for vif in vifs] == [("00:50:56:aa:00:01", "0"), ("02:00:00:00:00:07", "1")]
    assert [(vbd["type"], vbd["userdevice"], vbd["empty"]) for vbd in vbds] == [
        ("Disk", "0", False),
        ("Disk", "1", False),
        ("CD", "3", True),
    ]
    assert [disk.userdevice for disk in shell.disks] == ["0", "1"]
    assert shell.disks[1].virtual_size >= machine().disks[1].capacity
    assert {"start", "start_on"} <= set(record["blocked_operations"])


def test_a_bios_machine_stays_one(both):
    simulator, target = both
    shell = made_shell(target, firmware=Firmware.BIOS)

    assert vm_record(simulator, shell)["HVM_boot_params"]["firmware"] == "bios"


@pytest.mark.parametrize(
    "method", ["VM.create", "VIF.create", "VDI.create", "VBD.create", "VM.add_to_blocked_operations"]
)
@pytest.mark.parametrize("skip", [0, 1])
def test_a_shell_that_was_half_made_is_completed_and_nothing_is_made_twice(both, method, skip):
    simulator, target = both
    order = order_for(target, machine())
    simulator.faults.add(FaultRule(method=method, action="error", argument=["INTERNAL_ERROR", "x"], skip=skip))
    if method == "VM.create" and skip:
        simulator.faults.clear()
    else:
        assert refused(target.make_shell, order) == "xapi.busy"

    shell = target.make_shell(order)
    again = target.make_shell(order)

    assert again == shell
    kinds = ("VIF", "VDI", "VBD")
    assert [count(simulator, kind) for kind in kinds] == [2, 2, 3]
    ours = [each for each in simulator.db.all("VM").values() if each["name_label"] == "web01"]
    assert len(ours) == 1
    assert {"start", "start_on"} <= set(vm_record(simulator, shell)["blocked_operations"])


def test_a_full_sr_says_so(both):
    simulator, target = both
    simulator.faults.add(
        FaultRule(method="VDI.create", action="error", argument=["SR_BACKEND_FAILURE_44", "", "no space"])
    )

    assert refused(made_shell, target) == "xapi.sr_full"


def test_a_task_whose_maker_died_before_it_was_marked_goes_with_the_shell(both):
    simulator, target = both
    order = order_for(target, machine())
    target.make_shell(order)
    target._api.call("task.create", "Ferry: web01 / scsi0:0", f"writer x (migration {order.errand.migration})")
    target._api.call("task.create", "Ferry: other", "writer x (migration of-another)")

    target.remove_shell(order.errand)

    assert [each["name_label"] for each in simulator.db.all("task").values()] == ["Ferry: other"]


def test_an_unwritten_shell_goes_without_a_trace_and_twice_is_no_error(both):
    simulator, target = both
    made_shell(target)

    first, second = target.remove_shell(errand()), target.remove_shell(errand())

    assert first.kept_vdis == second.kept_vdis == ()
    assert [count(simulator, kind) for kind in ("VIF", "VDI", "VBD")] == [0, 0, 0]
    assert not [each for each in simulator.db.all("VM").values() if each["name_label"] == "web01"]


def test_a_vdi_that_holds_data_is_kept_and_named(both):
    simulator, target = both
    shell = made_shell(target)
    send(target, shell, 0, {0: noise(1, 4096)})

    removed = target.remove_shell(errand())

    assert removed.kept_vdis == (shell.disks[0].vdi,)
    kept = simulator.db.get("VDI", simulator.db.by_uuid("VDI", shell.disks[0].vdi))
    assert kept["name_description"].startswith("kept by Ferry")


# -- start and stop


def test_nobody_starts_a_shell_before_it_is_released(both, tmp_path):
    simulator, target = both
    shell = made_shell(target)
    session = logged_in(simulator, tmp_path)
    vm = session.xenapi.VM.get_by_uuid(shell.vm)

    with pytest.raises(Exception, match="OPERATION_BLOCKED"):
        session.xenapi.VM.start(vm, False, False)
    assert refused(target.start, shell.vm, errand().mark()) == "xapi.cannot_start"


def test_a_shell_that_lost_a_disk_is_not_released(both, tmp_path):
    simulator, target = both
    shell = made_shell(target)
    session = logged_in(simulator, tmp_path)
    [vbd] = session.xenapi.VDI.get_VBDs(session.xenapi.VDI.get_by_uuid(shell.disks[1].vdi))
    session.xenapi.VBD.destroy(vbd)

    assert refused(target.unblock, shell.vm, errand().mark()) == "xapi.shell_broken"
    assert "start" in vm_record(simulator, shell)["blocked_operations"]


def test_a_step_of_an_older_epoch_starts_nothing(both):
    _, target = both
    shell = made_shell(target)
    target.raise_epoch(shell.vm, errand().mark(2))

    assert refused(target.unblock, shell.vm, errand().mark(1)) == "source.stale_epoch"
    target.unblock(shell.vm, errand().mark(2))
    assert refused(target.start, shell.vm, errand().mark(1)) == "source.stale_epoch"
    target.raise_epoch(shell.vm, errand().mark(1))  # a lower one is ignored
    target.start(shell.vm, errand().mark(2))

    assert target.power(shell.vm) is Power.ON


def test_a_running_target_is_stopped_blocked_again_and_seen_halted(both):
    simulator, target = both
    shell = made_shell(target)
    mark = errand().mark()
    target.unblock(shell.vm, mark)
    target.start(shell.vm, mark)
    target.start(shell.vm, mark)

    target.block(shell.vm)
    target.stop(shell.vm)
    target.stop(shell.vm)

    assert target.power(shell.vm) is Power.OFF
    assert {"start", "start_on"} <= set(vm_record(simulator, shell)["blocked_operations"])
    assert refused(target.start, shell.vm, mark) == "xapi.cannot_start"


def test_the_pre_start_snapshot_is_taken_once_and_anew_when_something_was_written_since(both):
    simulator, target = both
    shell = made_shell(target)
    send(target, shell, 0, {0: noise(1, 4096)})

    first = target.snapshot_shell(shell.vm, errand())
    same = target.snapshot_shell(shell.vm, errand())
    send(target, shell, 0, {0: noise(2, 4096)}, token="run/1/2")
    anew = target.snapshot_shell(shell.vm, errand())

    assert same == first
    assert anew.snapshot != first.snapshot
    assert len(vm_record(simulator, shell)["snapshots"]) == 1
    assert stored(target, anew.vdis[shell.disks[0].vdi])[:4096] == noise(2, 4096)


# -- what is told


@pytest.mark.parametrize("wire", ["SESSION_INVALID", "HOST_STILL_BOOTING", "OTHER_OPERATION_IN_PROGRESS"])
def test_no_error_tells_a_session(both, wire):
    simulator, target = both
    target.check()
    ref = "OpaqueRef:11111111-2222-3333-4444-555555555555"
    simulator.faults.add(FaultRule(method="SR.get_all_records", action="error", argument=[wire, ref], count=5))

    with pytest.raises(FerryError) as told:
        target.facts(None)

    assert not re.search(r"OpaqueRef:[0-9a-f-]{36}", str(told.value))


def test_a_call_that_may_have_been_carried_out_is_not_repeated(both):
    simulator, target = both
    api: Connection = target._api
    shell = made_shell(target)
    vm = api.call("VM.get_by_uuid", shell.vm)
    before = simulator.pool.stats.calls["VM.set_name_description"]
    simulator.faults.add(FaultRule(method="VM.set_name_description", action="drop"))

    assert refused(api.call, "VM.set_name_description", vm, "x") == "xapi.unreachable"
    assert simulator.pool.stats.calls["VM.set_name_description"] - before == 1


def test_a_reading_call_is_repeated_when_the_line_breaks(both):
    simulator, target = both
    shell = made_shell(target)
    simulator.faults.add(FaultRule(method="VM.get_power_state", action="drop"))

    assert target.power(shell.vm) is Power.OFF


@pytest.mark.parametrize("method", ["VM.create", "VIF.create", "VDI.create", "VBD.create"])
def test_what_was_made_and_never_answered_for_is_found_again(both, method):
    simulator, target = both
    order = order_for(target, machine())
    simulator.faults.add(FaultRule(method=method, action="drop"))

    assert refused(target.make_shell, order) == "xapi.unreachable"
    target.make_shell(order)

    assert [count(simulator, kind) for kind in ("VIF", "VDI", "VBD")] == [2, 2, 3]
    assert len([each for each in simulator.db.all("VM").values() if each["name_label"] == "web01"]) == 1
