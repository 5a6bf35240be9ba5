"""A machine in our words, from devices as vSphere tells them."""

import pytest
from pyVmomi import vim

from contracts.machine import OwnerMark
from platforms.vsphere import inventory

device = vim.vm.device
FLAT = device.VirtualDisk.FlatVer2BackingInfo
NIC = device.VirtualEthernetCard


def disk(key, controller, unit, **backing):
    kind = backing.pop("kind", FLAT)
    usual = {"fileName": f"[nfs1] vm/{key}.vmdk", "uuid": f"6000C29-{key}", "diskMode": "persistent"}
    return device.VirtualDisk(
        key=key,
        controllerKey=controller,
        unitNumber=unit,
        capacityInBytes=1 << 20,
        capacityInKB=1 << 10,
        backing=kind(**{**usual, **backing}),
    )


SCSI = device.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing")


def slots(*devices):
    return [each.slot for each in inventory.disks_of(list(devices), {})]


def obstacle(each, controller=SCSI):
    return inventory.disks_of([controller, each], {})[0].obstacle


def test_disks_come_in_the_order_in_which_vmware_boots_from_them():
    controllers = [
        device.VirtualNVMEController(key=31000, busNumber=0),
        device.ParaVirtualSCSIController(key=1001, busNumber=1, sharedBus="noSharing"),
        SCSI,
        device.VirtualIDEController(key=200, busNumber=0),
        device.VirtualAHCIController(key=15000, busNumber=0),
    ]
    disks = [
        disk(32000, 31000, 0),
        disk(2016, 1001, 0),
        disk(2010, 1000, 10),
        disk(2002, 1000, 2),
        disk(3000, 200, 0),
        disk(16000, 15000, 0),
    ]

    assert slots(*controllers, *disks) == ["sata0:0", "ide0:0", "scsi0:2", "scsi0:10", "scsi1:0", "nvme0:0"]


def test_a_disks_id_is_fit_for_a_file_name_and_tells_two_disks_apart():
    first, second = inventory.disks_of([SCSI, disk(2000, 1000, 0, uuid="../a b/c"), disk(2001, 1000, 1)], {})

    assert first.disk_id == "2000-...a.b.c-scsi0.0"
    assert second.disk_id == "2001-6000C29-2001-scsi0.1"


def test_an_old_host_that_tells_kilobytes_only_is_understood():
    old = disk(2000, 1000, 0)
    old.capacityInBytes = None

    assert inventory.capacity_of(old) == 1 << 20


@pytest.mark.parametrize(
    ("backing", "code"),
    [
        ({}, None),
        ({"sharing": "sharingNone"}, None),
        ({"sharing": "sharingMultiWriter"}, "preflight.multi_writer_disk"),
        ({"diskMode": "independent_persistent"}, "preflight.independent_disk"),
        ({"diskMode": "independent_nonpersistent"}, "preflight.independent_disk"),
        ({"keyId": vim.encryption.CryptoKeyId(keyId="k")}, "preflight.encrypted_disk"),
        ({"kind": device.VirtualDisk.RawDiskMappingVer1BackingInfo}, "preflight.rdm_disk"),
        ({"kind": device.VirtualDisk.SeSparseBackingInfo}, None),
    ],
)
def test_a_disk_that_cannot_be_moved_says_why(backing, code):
    assert obstacle(disk(2000, 1000, 0, **backing)) == code


@pytest.mark.parametrize("sharing", ["virtualSharing", "physicalSharing"])
def test_a_disk_on_a_shared_bus_is_shared(sharing):
    controller = device.VirtualLsiLogicSASController(key=1000, busNumber=0, sharedBus=sharing)

    assert obstacle(disk(2000, 1000, 0), controller) == "preflight.multi_writer_disk"


def card(key, mac, backing, **more):
    return device.VirtualVmxnet3(
        key=key,
        macAddress=mac,
        backing=backing,
        deviceInfo=vim.Description(label=f"Network adapter {key}", summary="s"),
        connectable=device.VirtualDevice.ConnectInfo(startConnected=more.get("connected", True)),
    )


def test_nics_come_in_the_order_of_their_keys_with_the_names_of_their_networks():
    port = vim.dvs.PortConnection(portgroupKey="dvportgroup-7", switchUuid="s")
    nics = inventory.nics_of(
        [
            card(4001, "00:50:56:00:00:02", NIC.DistributedVirtualPortBackingInfo(port=port)),
            card(4000, "52:54:00:00:00:01", NIC.NetworkBackingInfo(deviceName="VM Network"), connected=False),
            card(4002, "00:50:56:00:00:03", NIC.OpaqueNetworkBackingInfo(opaqueNetworkId="seg-1")),
        ],
        {"dvportgroup-7": "Production", "seg-1": "nsx-web"},
    )

    assert [(nic.index, nic.mac, nic.network, nic.connected_at_start) for nic in nics] == [
        (0, "52:54:00:00:00:01", "VM Network", False),
        (1, "00:50:56:00:00:02", "Production", True),
        (2, "00:50:56:00:00:03", "nsx-web", True),
    ]


def snapshot(name, description, *children):
    return vim.vm.SnapshotTree(name=name, description=description, childSnapshotList=list(children))


def test_a_snapshot_is_ours_only_by_name_and_description_both():
    tree = [
        snapshot("ferry-01234567-p1", '{"migration": "0123456789", "pass": 1}',
                 snapshot("nightly", '{"migration": "0123456789"}'), snapshot("ferry-of-my-own", "before the trip")),
    ]  # fmt: skip

    assert inventory.snapshot_names({"snapshot.rootSnapshotList": tree}) == (
        ["ferry-01234567-p1"],
        ["nightly", "ferry-of-my-own"],
    )


@pytest.mark.parametrize(
    ("extra", "owner"),
    [
        ({}, None),
        ({"ferry.migration": ""}, None),
        (
            {"ferry.migration": "m", "ferry.workflow": "w", "ferry.epoch": "3"},
            OwnerMark(migration="m", workflow="w", epoch=3),
        ),
        ({"ferry.migration": "m", "ferry.epoch": "junk"}, OwnerMark(migration="m", workflow="", epoch=0)),
    ],
)  # fmt: skip
def test_the_owner_mark_is_read_however_much_of_it_is_there(extra, owner):
    assert inventory.owner_of(extra) == owner
