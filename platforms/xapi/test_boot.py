"""A test VM: clones of the shell's disks, on a network without uplink, so that it meets nobody; and its removal.

What it is made of bears :data:`TEST_KEY`, so that all of it is found again. Its VM bears no owner mark: there is one
shell only. Nothing here starts, writes or changes the shell and its disks.
"""

from typing import Any

from contracts.errors import FerryError
from contracts.names import OwnerKey
from contracts.steps import Errand
from contracts.test_boot import TestMade, TestOrder
from platforms.xapi import blueprint, power
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import Record, records_of, vanish, vdi_ref, vm_ref
from platforms.xapi.marks import DISKS_KEY, put
from platforms.xapi.wire import NULL

TEST_KEY = "ferry.test"
"""Of a test VM, its VIFs and its network: the migration. Of a clone: uuid of the VDI that it was made of, written on
that one first, since a clone inherits it; so the one that bears its own uuid is never taken for a clone."""
OVER_KEY = "ferry.tests_over"
"""Of the shell: number of the last test that is over. Whoever still works at it, or an older one, makes no more."""


def make_test(api: Connection, order: TestOrder) -> TestMade:
    """Network, VM, clones, cards: each is looked for before it is made.

    Raises:
        FerryError: ``source.stale_epoch`` where the test is over already; ``xapi.sr_full`` …
    """
    network = _network(api, order)
    vm = _vm(api, order)
    for disk in order.shell.disks:
        clone = _clone(api, order, disk.vdi)
        if not api.call("VDI.get_VBDs", clone):
            boots = disk is order.shell.disks[0]
            api.call("VBD.create", blueprint.disk_vbd_record(vm, clone, disk.userdevice, bootable=boots))
    _cards(api, order, vm, network)
    return TestMade(vm=api.call("VM.get_uuid", vm), network=api.call("network.get_uuid", network))


def start_test(api: Connection, order: TestOrder) -> None:
    """Only on networks without uplink, whatever became of it since. Running is success.

    Raises:
        FerryError: ``xapi.cannot_start``; ``xapi.shell_broken`` where it is gone, or a card of it leads to others.
    """
    tests = _tests(api, "VM", order.errand.migration)
    if not tests:
        raise FerryError("xapi.shell_broken", f"{order.name} is not there any more")
    vm, record = next(iter(tests.items()))
    for vif in records_of(api, "VIF", record["VIFs"]).values():
        if api.call("network.get_PIFs", vif["network"]):
            raise FerryError("xapi.shell_broken", f"{record['name_label']}: a card is on a network with an uplink")
    if record["power_state"] == "Running":
        return
    _not_over(api, order)
    try:
        api.call("VM.start", vm, False, False, patience=LONG_CALL_SECONDS)
    except XapiFailure as failure:
        if failure.wire == "VM_BAD_POWER_STATE" and api.call("VM.get_power_state", vm) == "Running":
            return
        if failure.code == "xapi.failure" or failure.wire == "NO_HOSTS_AVAILABLE":
            raise FerryError("xapi.cannot_start", failure.message) from None
        raise


def drop_test(api: Connection, order: TestOrder) -> None:
    """Whatever is there of it: stop, and take away VM, clones, network. Nothing is success."""
    try:
        put(api, "VM", vm_ref(api, order.shell.vm), OVER_KEY, str(order.number))
    except FerryError as error:
        if error.code != "xapi.shell_broken":  # without a shell nobody makes a test of it
            raise
    migration = order.errand.migration
    for vm, record in _tests(api, "VM", migration).items():
        power.stop(api, record["uuid"])
        for vif in record["VIFs"]:
            vanish(api, "VIF.destroy", vif)
        for vbd in record["VBDs"]:
            vanish(api, "VBD.destroy", vbd)
        vanish(api, "VM.destroy", vm)
    for vdi, record in _clones(api, order.errand).items():
        if is_clone(record):
            vanish(api, "VDI.destroy", vdi)
        else:
            api.call("VDI.remove_from_other_config", vdi, TEST_KEY)
    for network in _tests(api, "network", migration):
        vanish(api, "network.destroy", network)


def _network(api: Connection, order: TestOrder) -> str:
    """Without a PIF there is no way out of it: its bridge ends in the host."""
    for known in _tests(api, "network", order.errand.migration):
        return known
    _not_over(api, order)
    ref: str = api.call(
        "network.create",
        {
            "name_label": f"{order.name} (no uplink)",
            "name_description": f"made by Ferry for a test of {order.errand.vm}; goes with it",
            "MTU": "1500",
            "other_config": _marks(order.errand),
        },
    )
    return ref


def _vm(api: Connection, order: TestOrder) -> str:
    for known in _tests(api, "VM", order.errand.migration):
        return known
    shell: Record = api.call("VM.get_record", vm_ref(api, order.shell.vm))
    _not_over(api, order)
    ref: str = api.call("VM.create", test_record(order, shell), patience=LONG_CALL_SECONDS)
    return ref


def test_record(order: TestOrder, shell: Record) -> dict[str, Any]:
    """For VM.create: the shell's machine under another name, without its marks."""
    kept = (
        "VCPUs_params", "HVM_boot_policy", "HVM_boot_params", "platform", "recommendations", "domain_type",
        "has_vendor_device", "PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args",
        "PV_legacy_args", "PCI_bus",
    )  # fmt: skip
    numbers = (
        "memory_static_min", "memory_dynamic_min", "memory_dynamic_max", "memory_static_max", "VCPUs_max",
        "VCPUs_at_startup", "user_version",
    )  # fmt: skip
    return {
        **{name: shell[name] for name in kept},
        **{name: str(shell[name]) for name in numbers},
        "name_label": order.name,
        "name_description": f"a test of {order.errand.vm} by Ferry, to be thrown away",
        "is_a_template": False,
        "affinity": NULL,
        # One that crashes or stops has told what it had to tell.
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "destroy",
        "HVM_shadow_multiplier": float(shell["HVM_shadow_multiplier"]),
        "other_config": _marks(order.errand)
        | {
            key: shell["other_config"][key] for key in ("base_template_name", DISKS_KEY) if key in shell["other_config"]
        },
    }


def _clone(api: Connection, order: TestOrder, uuid: str) -> str:
    for known, record in _clones(api, order.errand).items():
        if is_clone(record) and record["other_config"][TEST_KEY] == uuid:
            return known
    original = vdi_ref(api, uuid)
    put(api, "VDI", original, TEST_KEY, uuid)
    try:
        _not_over(api, order)
        ref: str = api.call("VDI.clone", original, {}, patience=LONG_CALL_SECONDS)
    finally:
        api.call("VDI.remove_from_other_config", original, TEST_KEY)
    api.call("VDI.set_name_label", ref, f"{order.name} / {uuid[:8]}")
    return ref


def _cards(api: Connection, order: TestOrder, vm: str, network: str) -> None:
    """The MACs are kept: the guest shall find its cards. Nobody else hears them."""
    there = {vif["device"] for vif in records_of(api, "VIF", api.call("VM.get_VIFs", vm)).values()}
    for vif in records_of(api, "VIF", api.call("VM.get_VIFs", vm_ref(api, order.shell.vm))).values():
        if vif["device"] not in there:
            _not_over(api, order)
            made = {
                "device": vif["device"], "network": network, "VM": vm, "MAC": vif["MAC"], "MTU": "1500",
                "other_config": _marks(order.errand), "qos_algorithm_type": "", "qos_algorithm_params": {},
                "locking_mode": "network_default",
            }  # fmt: skip
            api.call("VIF.create", made)


def _not_over(api: Connection, order: TestOrder) -> None:
    """Just before something is made: a worker that was stopped leaves nothing behind when it wakes (SAFETY 14)."""
    over = api.call("VM.get_other_config", vm_ref(api, order.shell.vm)).get(OVER_KEY, "0")
    if int(over) >= order.number:
        raise FerryError("source.stale_epoch", f"test {order.number} of {order.errand.vm} is over")


def _tests(api: Connection, kind: str, migration: str) -> dict[str, Record]:
    records: dict[str, Record] = api.call(f"{kind}.get_all_records")
    return {ref: record for ref, record in records.items() if record["other_config"].get(TEST_KEY) == migration}


def _clones(api: Connection, errand: Errand) -> dict[str, Record]:
    """With the original, while one is being made of it."""
    records: dict[str, Record] = api.call("VDI.get_all_records")
    return {
        ref: record
        for ref, record in records.items()
        if TEST_KEY in record["other_config"] and record["other_config"].get(OwnerKey.MIGRATION) == errand.migration
    }


def is_clone(record: Record) -> bool:
    """Of a VDI that bears :data:`TEST_KEY`."""
    return bool(record["other_config"][TEST_KEY] != record["uuid"] and not record["is_a_snapshot"])


def _marks(errand: Errand) -> dict[str, str]:
    """No owner mark: see above. Whose it is can be told all the same."""
    return {TEST_KEY: errand.migration, OwnerKey.WORKFLOW.value: errand.workflow}
