"""The table of privileges that the checks read is the one that the docs show, and asks for no more than is needed."""

from pathlib import Path

from checks import Seen
from checks.privileges import POOL, VSPHERE, privilege_later, privilege_missing, transport_privilege
from checks.transports import no_transport, why_not
from contracts.error_catalogue import CATALOGUE
from contracts.facts import Datastore, Lacking
from contracts.machine import Firmware, Machine, Power, SourceDisk
from contracts.steps import SourceFacts
from simulators.xapi.signatures import permissions

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "vsphere.md").read_text()
DISK = SourceDisk(disk_id="a", key=2000, slot="scsi0:0", capacity=1 << 30, datastore="nfs1", datastore_type="NFS")
ALL = tuple(Lacking(right=need.right, on=need.on) for need in VSPHERE)


def machine(**more: object) -> Machine:
    said = {
        "source": "vc", "machine_id": "m", "ref": "vm-1", "name": "web01", "power": Power.ON, "memory": 1 << 30,
        "firmware": Firmware.BIOS, "disks": (DISK,),
    }  # fmt: skip
    return Machine.model_validate({**said, **more})


def test_each_privilege_of_the_table_is_in_the_docs() -> None:
    for need in VSPHERE:
        folder, _, name = need.right.rpartition(".")
        assert need.right in DOCS or (f"{folder}." in DOCS and f".{name}" in DOCS), need.right


def test_a_machine_that_is_off_and_untracked_needs_fewer() -> None:
    facts = SourceFacts(lacking=ALL)
    on = list(privilege_missing(Seen(machine=machine(), source=facts)))
    off = list(privilege_missing(Seen(machine=machine(power=Power.OFF, change_tracking_supported=False), source=facts)))
    read_only = list(privilege_missing(Seen(machine=machine(power=Power.OFF, read_only=True), source=facts)))

    assert (len(on), len(off), len(read_only)) == (8, 4, 0)


def test_an_iso_that_shall_be_ejected_takes_a_right_of_its_own_and_one_that_may_stay_none() -> None:
    facts = SourceFacts(lacking=(Lacking(right="VirtualMachine.Interact.SetCDMedia", on="the VM"),))
    held = machine(mounted_iso="[nfs1] tools.iso")

    def told(**more: object) -> int:
        return len(list(privilege_missing(Seen(source=facts, **more))))  # type: ignore[arg-type]

    assert told(machine=held, approved_steps=("eject-iso",)) == 1
    assert told(machine=held) == told(machine=machine(), approved_steps=("eject-iso",)) == 0


def test_what_is_needed_after_the_end_stops_nothing_and_is_told() -> None:
    on = list(privilege_later(Seen(machine=machine(), source=SourceFacts(lacking=ALL))))
    read_only = list(privilege_later(Seen(machine=machine(read_only=True), source=SourceFacts(lacking=ALL))))

    assert (len(on), len(read_only)) == (5, 0)


def test_privileges_of_vddk_count_only_where_it_is_configured() -> None:
    without = list(transport_privilege(Seen(machine=machine(), source=SourceFacts(lacking=ALL))))
    with_it = list(transport_privilege(Seen(machine=machine(), source=SourceFacts(lacking=ALL, has_vddk=True))))

    assert (len(without), len(with_it)) == (3, 6)


def test_a_disk_that_one_transport_can_read_is_no_blocker() -> None:
    lacking = tuple(Lacking(right=right, on="the VM") for right in ("VApp.Export", "Datastore.Browse"))
    seen = Seen(machine=machine(), source=SourceFacts(lacking=lacking))
    served = SourceFacts(lacking=lacking, datastores=(Datastore(name="nfs1", export="/mnt/nfs1", export_trouble=""),))

    assert why_not(seen, DISK) == {"https": "Datastore.Browse", "nfc": "VApp.Export"}
    assert len(list(no_transport(seen))) == 1
    assert not list(no_transport(Seen(machine=machine(), source=served)))


def test_what_was_not_told_is_not_spoken_of() -> None:
    for source in (None, SourceFacts()):
        seen = Seen(machine=machine(), source=source)
        assert not [*privilege_missing(seen), *transport_privilege(seen), *no_transport(seen)]


def test_the_role_that_the_remedy_names_is_enough_and_the_one_below_is_not() -> None:
    def lacking(role: str) -> list[str]:
        allowed = permissions(role)
        return [need.right for need in POOL if need.right.lower() not in allowed]

    assert "pool-operator" in CATALOGUE["preflight.role_too_low"].action
    assert lacking("pool-operator") == []
    assert lacking("vm-power-admin") == ["task.set_other_config"]
