"""What is left of test boots whose migration was terminated: VMs, clones and networks that bear ``ferry.test``.

They hold nothing that is not elsewhere too: a clone is a copy of a VDI that stays. So they are plain leftovers. Only
what was made as a test is taken for one: a copy or a snapshot that a person made of a test VM inherits its mark, and
stays.
"""

from typing import Any

from contracts.leftovers import Found
from contracts.names import OwnerKey
from contracts.test_boot import TEST_SUFFIX
from platforms.xapi import power
from platforms.xapi.connection import Connection
from platforms.xapi.lookup import Record, vanish
from platforms.xapi.test_boot import TEST_KEY, is_clone

TEST_VM, TEST_CLONE, TEST_NETWORK = "test-vm", "test-clone", "test-network"


def owner_of(record: Record) -> str:
    """The migration of a test VM or its network; empty of all else."""
    config = record["other_config"]
    # An owner mark beside it: that is a VDI, whose mark of a test names another VDI.
    return "" if OwnerKey.MIGRATION in config else str(config.get(TEST_KEY, ""))


def is_test_vm(vm: Record) -> bool:
    """Made by us for a test, still under the name that we gave it."""
    template = vm["is_a_snapshot"] or vm["is_a_template"] or vm["is_control_domain"]
    return bool(owner_of(vm) and not template and vm["name_label"].endswith(TEST_SUFFIX))


def is_test_clone(vdi: Record, users: list[Record]) -> bool:
    """Made by us for a test, and in no VM but the test's."""
    config = vdi["other_config"]
    return bool(
        TEST_KEY in config and OwnerKey.MIGRATION in config and is_clone(vdi) and all(is_test_vm(vm) for vm in users)
    )


def facts_of(kind: str, record: Record) -> Any:
    """What must not have changed when it is removed; whether it runs, and who is on the network, may have."""
    return sorted(record["VBDs"]) if kind == TEST_VM else record["other_config"][TEST_KEY]


REMOVALS = {
    TEST_VM: "stops the VM of the test and removes it with its NICs; its disks are listed by themselves",
    TEST_CLONE: "destroys the clone that a test booted from; the VDI that it was made of stays",
    TEST_NETWORK: "removes the network without uplink that a test was on",
}


def remove(api: Connection, found: Found, ref: str) -> bool:
    """One of them, seen again just before. False: it is another's now, or in use."""
    if found.kind == TEST_VM:
        vm = api.call("VM.get_record", ref)
        if not is_test_vm(vm) or owner_of(vm) != found.migration:
            return False
        power.stop(api, found.subject)
        for vif in vm["VIFs"]:
            vanish(api, "VIF.destroy", vif)
        for vbd in vm["VBDs"]:
            vanish(api, "VBD.destroy", vbd)
        vanish(api, "VM.destroy", ref)
    elif found.kind == TEST_CLONE:
        vdi = api.call("VDI.get_record", ref)
        if vdi["VBDs"] or not is_test_clone(vdi, []):
            return False
        vanish(api, "VDI.destroy", ref)
    else:
        network = api.call("network.get_record", ref)
        used = any(vif["network"] == ref for vif in api.call("VIF.get_all_records").values())
        if used or network["PIFs"] or owner_of(network) != found.migration:
            return False
        vanish(api, "network.destroy", ref)
    return True
