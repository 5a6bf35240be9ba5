"""The vCenter simulator, asked by the real pyVmomi over TLS, does what the real one does."""

import ssl
import time

import pytest
from pydantic import ValidationError
from pyVim.connect import Connect
from pyVmomi import vim, vmodl

from simulators.faults import FaultRule
from simulators.inventory import Vsphere
from tests.conformance.vsphere_lab import (
    MIB,
    PASSWORD,
    WEB01,
    address,
    changed,
    done,
    get,
    logged_in,
    running_vcenter,
    the_vm,
)

FLAT = "web01/web01-flat.vmdk"


@pytest.fixture
def vcenter(tmp_path):
    with running_vcenter(tmp_path) as simulator:
        yield simulator


@pytest.fixture
def instance(vcenter, tmp_path):
    with logged_in(vcenter, tmp_path) as found:
        yield found


@pytest.fixture
def vm(instance, vcenter):
    return the_vm(instance, vcenter)


def track(vm):
    """Switch change tracking on, with the stun that makes it begin."""
    done(vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
    done(done(vm.CreateSnapshot_Task("stun", "", False, False)).RemoveSnapshot_Task(False))


def disk_of(snapshot, key=2000):
    return next(each for each in snapshot.config.hardware.device if each.key == key)


def test_login_and_inventory_by_leaf_paths_with_pages(tmp_path):
    vms = [{**WEB01, "name": f"vm{number}", "power": "off"} for number in range(5)]
    with running_vcenter(tmp_path, *vms) as simulator, logged_in(simulator, tmp_path) as instance:
        content = instance.content
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        pc = vmodl.query.PropertyCollector
        spec = pc.FilterSpec(
            objectSet=[pc.ObjectSpec(obj=view, skip=True, selectSet=[
                pc.TraversalSpec(name="v", path="view", type=type(view), skip=False)])],
            propSet=[pc.PropertySpec(type=vim.VirtualMachine, pathSet=["name", "runtime.powerState"])],
        )  # fmt: skip
        page = content.propertyCollector.RetrievePropertiesEx([spec], pc.RetrieveOptions(maxObjects=2))
        names = [each.propSet[0].val for each in page.objects]
        while page.token:
            assert len(page.objects) <= 2 or names[2:]
            page = content.propertyCollector.ContinueRetrievePropertiesEx(page.token)
            names += [each.propSet[0].val for each in page.objects]

        assert names == [f"vm{number}" for number in range(5)]
        assert content.about.fullName.startswith("VMware vCenter Server 8.0.3")


def test_a_wrong_password_and_a_foreign_certificate_are_refused(vcenter, tmp_path):
    with pytest.raises(vim.fault.InvalidLogin), logged_in(vcenter, tmp_path, "wrong"):
        pass
    host, port = address(vcenter)
    with pytest.raises((ssl.SSLError, vim.fault.HostConnectFault)):
        Connect(host=host, port=port, user="x", pwd=PASSWORD, sslContext=ssl.create_default_context())


def test_hardware_is_told_with_its_macs_controllers_and_backings(vm):
    devices = vm.config.hardware.device
    disks = [each for each in devices if isinstance(each, vim.vm.device.VirtualDisk)]
    [nic] = [each for each in devices if isinstance(each, vim.vm.device.VirtualEthernetCard)]

    assert [(each.key, each.unitNumber, each.capacityInBytes) for each in disks] == [
        (2000, 0, 8 * MIB + 512),
        (2001, 1, 4 * MIB),
    ]
    assert disks[0].backing.fileName == "[nfs1] web01/web01.vmdk"
    assert (nic.macAddress, nic.addressType, nic.connectable.startConnected) == ("00:50:56:aa:00:01", "manual", True)
    assert vm.config.firmware == "efi"


def test_an_unknown_property_an_unknown_method_and_an_ended_session_are_faults(vcenter, instance, vm):
    pc = vmodl.query.PropertyCollector
    spec = pc.FilterSpec(
        objectSet=[pc.ObjectSpec(obj=vm)],
        propSet=[pc.PropertySpec(type=vim.VirtualMachine, pathSet=["config.nonsense"])],
    )
    with pytest.raises(vmodl.query.InvalidProperty):
        instance.content.propertyCollector.RetrievePropertiesEx([spec], pc.RetrieveOptions())
    with pytest.raises(vmodl.fault.MethodNotFound):
        vm.Answer("1", "0")

    vcenter.sessions.end_all()

    with pytest.raises(vim.fault.NotAuthenticated):
        instance.CurrentTime() and vm.config


def test_a_session_ends_after_thirty_idle_minutes_of_the_labs_clock(tmp_path):
    with (
        running_vcenter(tmp_path, speed=20_000) as simulator,
        pytest.raises(vim.fault.NotAuthenticated),
        logged_in(simulator, tmp_path) as instance,
    ):
        time.sleep(0.3)
        the_vm(instance, simulator)


def test_change_tracking_begins_at_the_next_stun_and_its_id_outlives_the_snapshot(vcenter, vm):
    done(vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
    assert vcenter.world.vm("web01").disks[0].tracking is None
    track(vm)
    first = done(vm.CreateSnapshot_Task("one", "", False, False))
    landmark = disk_of(first).backing.changeId
    done(first.RemoveSnapshot_Task(False))
    vcenter.do("web01", "write", offset=5 * 65536 + 4096, byte=7, length=4096)
    second = done(vm.CreateSnapshot_Task("two", "", False, False))
    vcenter.do("web01", "write", offset=0, byte=8, length=4096)

    assert changed(vm, second, 2000, landmark) == [(5 * 65536, 65536)]


def test_allocated_areas_are_told_and_need_tracking_before_the_snapshot(vcenter, vm):
    early = done(vm.CreateSnapshot_Task("early", "", False, False))
    with pytest.raises(vim.fault.FileFault):
        changed(vm, early, 2000, "*")
    done(early.RemoveSnapshot_Task(False))
    track(vm)
    vcenter.do("web01", "write", offset=8 * MIB, byte=1, length=512)
    late = done(vm.CreateSnapshot_Task("late", "", False, False))

    assert changed(vm, late, 2000, "*") == [(8 * MIB, 512)]


def test_an_answer_has_at_most_2000_extents_and_the_capacity_is_no_start(tmp_path):
    vm_said = {**WEB01, "disks": [{"size_mib": 400, "datastore": "nfs1"}], "change_tracking": True}
    with running_vcenter(tmp_path, vm_said) as simulator, logged_in(simulator, tmp_path) as instance:
        vm = the_vm(instance, simulator)
        first = done(vm.CreateSnapshot_Task("one", "", False, False))
        landmark = disk_of(first).backing.changeId
        done(first.RemoveSnapshot_Task(False))
        for number in range(2500):
            simulator.do("web01", "write", offset=number * 2 * 65536, byte=1, length=512)
        second = done(vm.CreateSnapshot_Task("two", "", False, False))
        answer = vm.QueryChangedDiskAreas(second, 2000, 0, landmark)

        assert len(answer.changedArea) == 2000
        assert answer.length < 400 * MIB
        assert len(changed(vm, second, 2000, landmark)) == 2500
        with pytest.raises(vmodl.fault.InvalidArgument):
            vm.QueryChangedDiskAreas(second, 2000, 400 * MIB, landmark)


def test_tracking_that_was_reset_knows_no_older_id(vcenter, vm):
    track(vm)
    first = done(vm.CreateSnapshot_Task("one", "", False, False))
    landmark = disk_of(first).backing.changeId
    done(first.RemoveSnapshot_Task(False))
    vcenter.do("web01", "reset-tracking")
    second = done(vm.CreateSnapshot_Task("two", "", False, False))

    with pytest.raises(vim.fault.FileFault):
        changed(vm, second, 2000, landmark)


def test_without_a_snapshot_only_a_machine_that_is_off_is_asked(vm):
    track(vm)
    with pytest.raises(vmodl.fault.InvalidArgument):
        vm.QueryChangedDiskAreas(None, 2000, 0, "*")
    done(vm.PowerOffVM_Task())

    assert vm.QueryChangedDiskAreas(None, 2000, 0, "*").length == 8 * MIB + 512


def test_the_frozen_base_is_read_in_ranges_while_the_guest_writes(tmp_path):
    busy = {**WEB01, "guest": {"writes_mib_per_s": 5}}
    with running_vcenter(tmp_path, busy) as simulator, logged_in(simulator, tmp_path) as instance:
        vm = the_vm(instance, simulator)
        cookie = instance._stub.cookie
        done(vm.CreateSnapshot_Task("one", "", False, False))
        status, first, headers = get(simulator, tmp_path, FLAT, cookie=cookie, span="4096-8191")
        time.sleep(0.5)
        _, again, _ = get(simulator, tmp_path, FLAT, cookie=cookie, span="4096-8191")

        assert (status, headers["Content-Range"]) == (206, f"bytes 4096-8191/{8 * MIB + 512}")
        assert first == again
        assert get(simulator, tmp_path, FLAT, cookie=cookie, span=f"{9 * MIB}-{9 * MIB + 1}")[0] == 416
        assert get(simulator, tmp_path, "web01/web01-000001-delta.vmdk", cookie=cookie)[0] == 500


def test_files_are_refused_where_the_real_one_refuses_them(tmp_path):
    machines = [
        {**WEB01, "name": store, "disks": [{"size_mib": 1, "datastore": store}]} for store in ("nfs1", "vmfs1", "vsan1")
    ]
    with running_vcenter(tmp_path, *machines) as simulator, logged_in(simulator, tmp_path) as instance:
        cookie = instance._stub.cookie
        for name in ("nfs1", "vmfs1", "vsan1"):
            done(the_vm(instance, simulator, name).CreateSnapshot_Task("one", "", False, False))

        def status(store, cookie=cookie):
            return get(simulator, tmp_path, f"{store}/{store}-flat.vmdk", store=store, cookie=cookie, span="0-1")[0]

        assert [status(store) for store in ("nfs1", "vmfs1", "vsan1")] == [206, 500, 404]
        assert status("nfs1", cookie="") == 401
        done(the_vm(instance, simulator, "vmfs1").PowerOffVM_Task())
        assert status("vmfs1") == 206


def test_power_has_its_rules_and_a_shutdown_flushes(tmp_path):
    busy = {**WEB01, "guest": {"writes_mib_per_s": 1, "shutdown_seconds": 0.1}}
    with running_vcenter(tmp_path, busy) as simulator, logged_in(simulator, tmp_path) as instance:
        vm = the_vm(instance, simulator)
        with pytest.raises(vim.fault.InvalidPowerState):
            done(vm.PowerOnVM_Task())
        before = simulator.world.vm("web01").guest.written
        vm.ShutdownGuest()
        deadline = time.monotonic() + 5
        while vm.runtime.powerState != "poweredOff" and time.monotonic() < deadline:
            time.sleep(0.05)

        assert vm.runtime.powerState == "poweredOff"
        assert simulator.world.vm("web01").guest.written - before >= MIB
        assert simulator.world.vm("web01").disks[0].read(8 * MIB, 512) != bytes(512)


def test_without_tools_nobody_can_ask_the_guest(tmp_path):
    with running_vcenter(tmp_path, {**WEB01, "guest": {"tools": "not-installed"}}) as simulator:
        with logged_in(simulator, tmp_path) as instance, pytest.raises(vim.fault.ToolsUnavailable):
            the_vm(instance, simulator).ShutdownGuest()


def test_a_missing_privilege_is_named_and_a_free_licence_forbids_changes(tmp_path):
    lacking = ["VirtualMachine.State.CreateSnapshot"]
    with running_vcenter(tmp_path, privileges_missing=lacking) as simulator:
        with logged_in(simulator, tmp_path) as instance, pytest.raises(vim.fault.NoPermission) as refused:
            the_vm(instance, simulator).CreateSnapshot_Task("one", "", False, False)
        assert refused.value.privilegeId == lacking[0]
    with running_vcenter(tmp_path, {**WEB01, "power": "off"}, licence="free", kind="esxi") as simulator:
        with logged_in(simulator, tmp_path) as instance:
            vm = the_vm(instance, simulator)
            for change in (
                lambda: vm.CreateSnapshot_Task("one", "", False, False),
                lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="mine")),
                vm.PowerOnVM_Task,
                vm.ExportVm,
                lambda: vm.QueryChangedDiskAreas(None, 2000, 0, "*"),
            ):
                with pytest.raises(vim.fault.RestrictedVersion, match="prohibits execution"):
                    change()
            vm.RefreshStorageInfo()  # takes System.Read: no change
        assert sum(simulator.counted()["restricted"].values()) == 5
        assert simulator.state()["web01"]["extra_config"] == {}


@pytest.mark.parametrize(
    ("said", "editions"),
    [
        ({"kind": "esxi"}, ["esx.enterprisePlus.cpuPackage"]),
        ({"kind": "esxi", "licence": "evaluation"}, ["eval"]),
        ({"kind": "esxi", "licence": "free"}, ["esxBasic"]),
        ({}, ["eval", "vc.standard.instance", "esx.enterprisePlus.cpuPackage"]),
    ],
)
def test_a_host_shows_its_licence_and_a_vcenter_all_that_it_has(tmp_path, said, editions):
    with running_vcenter(tmp_path, **said) as simulator, logged_in(simulator, tmp_path) as instance:
        assert [each.editionKey for each in instance.content.licenseManager.licenses] == editions


def test_a_free_licence_is_a_bare_hosts():
    with pytest.raises(ValidationError, match="needs kind: esxi"):
        Vsphere.model_validate({"licence": "free"})


def test_the_content_id_of_a_disk_tells_that_its_machine_ran_and_wrote(tmp_path):
    with running_vcenter(tmp_path, {**WEB01, "power": "off"}) as simulator:
        descriptor = tmp_path / "vsphere" / "nfs1" / "web01" / "web01.vmdk"
        before = descriptor.read_text()
        simulator.do("web01", "power", state="on")
        simulator.do("web01", "power", state="off")
        assert descriptor.read_text() == before
        simulator.do("web01", "power", state="on")
        simulator.do("web01", "write", offset=0, byte=1, length=512)
        assert descriptor.read_text() == before, "it is rewritten when the disk is closed"
        simulator.do("web01", "power", state="off")
        assert descriptor.read_text() != before


def test_faults_on_order_strike_calls_and_tasks(vcenter, vm):
    vcenter.faults.add(FaultRule("CreateSnapshot_Task", "fault", argument="TaskInProgress"))
    vcenter.faults.add(FaultRule("RemoveSnapshot_Task!", "task-fault", argument="FileFault"))

    with pytest.raises(vim.fault.TaskInProgress):
        vm.CreateSnapshot_Task("one", "", False, False)
    taken = done(vm.CreateSnapshot_Task("one", "", False, False))
    with pytest.raises(vim.fault.FileFault):
        done(taken.RemoveSnapshot_Task(False))


def test_extra_config_keeps_marks_and_drops_empty_ones(vm):
    option = vim.option.OptionValue
    done(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option(key="ferry.migration", value="m1")])))
    assert {each.key: each.value for each in vm.config.extraConfig}["ferry.migration"] == "m1"

    done(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option(key="ferry.migration", value="")])))

    assert "ferry.migration" not in {each.key for each in vm.config.extraConfig}


def test_nics_are_disconnected_at_start_by_an_edit(vm):
    nic = next(each for each in vm.config.hardware.device if isinstance(each, vim.vm.device.VirtualEthernetCard))
    nic.connectable.startConnected = False
    edit = vim.vm.device.VirtualDeviceSpec(operation="edit", device=nic)

    done(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[edit])))

    again = next(each for each in vm.config.hardware.device if each.key == nic.key)
    assert again.connectable.startConnected is False


def test_updates_of_a_task_are_pushed(instance, vm):
    pc = vmodl.query.PropertyCollector
    collector = instance.content.propertyCollector.CreatePropertyCollector()
    task = vm.CreateSnapshot_Task("one", "", False, False)
    collector.CreateFilter(
        pc.FilterSpec(
            objectSet=[pc.ObjectSpec(obj=task)], propSet=[pc.PropertySpec(type=vim.Task, pathSet=["info.state"])]
        ),
        True,
    )
    version, states = "", []
    for _ in range(10):
        update = collector.WaitForUpdatesEx(version, pc.WaitOptions(maxWaitSeconds=2))
        if update is None:
            break
        version = update.version
        states += [change.val for each in update.filterSet for obj in each.objectSet for change in obj.changeSet]
        if states[-1] == "success":
            break

    assert states[-1] == "success"


def test_the_layout_is_stale_until_it_is_refreshed(vm):
    done(vm.CreateSnapshot_Task("one", "", False, False))
    before = len(vm.layoutEx.disk[0].chain)

    vm.RefreshStorageInfo()

    assert (before, len(vm.layoutEx.disk[0].chain)) == (1, 2)


def test_a_snapshot_that_is_removed_is_consolidated_into_the_base(vcenter, vm):
    taken = done(vm.CreateSnapshot_Task("one", "", False, False))
    vcenter.do("web01", "write", offset=0, byte=9, length=4096)
    done(taken.RemoveSnapshot_Task(False))

    machine = vcenter.world.vm("web01")
    assert machine.disks[0].base_file.read_bytes()[:4096] == b"\x09" * 4096
    assert [len(disk.links) for disk in machine.disks] == [1, 1]
    assert vm.snapshot is None


def test_a_terabyte_disk_costs_nothing_but_its_data(tmp_path):
    huge = {**WEB01, "disks": [{"size_mib": 1.9 * 1024 * 1024, "datastore": "nfs1"}], "change_tracking": True}
    with running_vcenter(tmp_path, huge) as simulator, logged_in(simulator, tmp_path) as instance:
        vm = the_vm(instance, simulator)
        began = time.monotonic()
        simulator.do("web01", "write", offset=10**12 // 512 * 512, byte=1, length=512)
        taken = done(vm.CreateSnapshot_Task("one", "", False, False))

        areas = changed(vm, taken, 2000, "*")

        assert len(areas) == 1
        assert time.monotonic() - began < 10
