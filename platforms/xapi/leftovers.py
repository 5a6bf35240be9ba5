"""What migrations left in a pool: by our marks alone. VMs that may have run are nobody's leftovers (SAFETY 22)."""

from typing import Any

from contracts.errors import FerryError
from contracts.leftovers import Found, state_of
from contracts.names import SOURCE_MACHINE_KEY, OwnerKey
from contracts.steps import Errand
from platforms.xapi import bases, dom0, left_tests, tasks
from platforms.xapi.checksum import unended
from platforms.xapi.connection import Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import GONE, Record, vanish
from platforms.xapi.marks import BASE_KEY, RELEASED_KEY, WRITTEN_KEY, belongs_to
from platforms.xapi.shell import remove_shell
from platforms.xapi.snapshots import NAME, remove_snapshot

Records = dict[str, Record]


class _Pool:
    """One reading of all that may be ours."""

    def __init__(self, api: Connection) -> None:
        self.vms: Records = api.call("VM.get_all_records")
        self.vdis: Records = api.call("VDI.get_all_records")
        self.vbds: Records = api.call("VBD.get_all_records")
        self.tasks: Records = api.call("task.get_all_records")
        self.networks: Records = api.call("network.get_all_records")

    def users_of(self, vdi: str) -> list[Record]:
        """The VMs that a VDI is in; dom0 is none."""
        vms = [self.vms.get(vbd["VM"]) for vbd in self.vbds.values() if vbd["VDI"] == vdi]
        return [vm for vm in vms if vm is not None and not vm["is_control_domain"]]

    def held(self, vdi: str) -> bool:
        """Whether dom0 has it attached."""
        vms = [self.vms.get(vbd["VM"]) for vbd in self.vbds.values() if vbd["VDI"] == vdi]
        return any(vm is not None and vm["is_control_domain"] for vm in vms)


def _migration(record: Record) -> str:
    return str(record["other_config"].get(OwnerKey.MIGRATION, ""))


def _is_shell(vm: Record) -> bool:
    """Made by us and never yet allowed to start."""
    return bool(
        _migration(vm) and not vm["is_a_snapshot"] and not vm["is_control_domain"] and not vm["is_a_template"]
        and RELEASED_KEY not in vm["other_config"] and vm["power_state"] == "Halted"
    )  # fmt: skip


def leftovers(api: Connection, system: str) -> list[Found]:
    """Each thing by itself."""
    pool = _Pool(api)
    found: list[Found] = []

    def add(kind: str, record: Record, removal: str, facts: Any, name: str = "", **more: Any) -> None:
        config = record["other_config"]
        said = {"migration": _migration(record), "workflow": config.get(OwnerKey.WORKFLOW, ""), **more}
        found.append(
            Found(
                id=f"{system}/{kind}/{record['uuid']}",
                system=system,
                side="target",
                kind=kind,
                name=name or record["name_label"],
                subject=record["uuid"],
                removal=removal,
                state=state_of(kind, said["migration"], facts),
                **said,
            )
        )

    for record in pool.tasks.values():
        migration = _migration(record) or tasks.migration_told(record)
        if migration:
            removal = (
                "ends the task, which nobody works on" if record["status"] in tasks.UNENDED else "forgets the task"
            )
            add("task", record, removal, "task", migration=migration, since=_time(record["created"]))
    for vm in pool.vms.values():
        if left_tests.is_test_vm(vm):
            _add_test(add, left_tests.TEST_VM, vm)
        if not _migration(vm) or vm["is_control_domain"]:
            continue
        if vm["is_a_snapshot"]:
            _add_snapshot(add, pool, vm)
        elif _is_shell(vm):
            removal = "removes the VM with its NICs and its VDIs that were never written; VDIs with data stay"
            add("shell", vm, removal, sorted(vm["VBDs"]))
        elif SOURCE_MACHINE_KEY in vm["other_config"]:
            removal = "takes the claim on its source off; the VM stays"
            add("claim", vm, removal, vm["other_config"][SOURCE_MACHINE_KEY])
    for ref, vdi in pool.vdis.items():
        if _migration(vdi):
            _add_vdi(add, pool, ref, vdi)
    for network in pool.networks.values():
        if left_tests.owner_of(network):
            _add_test(add, left_tests.TEST_NETWORK, network)
    return found


def _add_test(add: Any, kind: str, record: Record, **more: Any) -> None:
    migration = left_tests.owner_of(record) or _migration(record)
    removal = left_tests.REMOVALS[kind]
    add(kind, record, removal, left_tests.facts_of(kind, record), migration=migration, **more)


def _add_snapshot(add: Any, pool: _Pool, snapshot: Record) -> None:
    """Ours by its name as well: other people's snapshots of our VM inherit our mark."""
    if snapshot["name_label"] != NAME:
        return
    parent = pool.vms.get(snapshot["snapshot_of"])
    if parent is not None and _is_shell(parent):
        return  # it goes with the shell
    name = f"{NAME} of {parent['name_label'] if parent is not None else 'a VM that is gone'}"
    removal = "removes the snapshot: the target as it was proven, which `ferry verify` reads"
    add(
        "pre-start",
        snapshot,
        removal,
        snapshot["snapshot_of"],
        name,
        holds_data=True,
        since=_time(snapshot["snapshot_time"]),
    )


def _add_vdi(add: Any, pool: _Pool, ref: str, vdi: Record) -> None:
    config, users = vdi["other_config"], pool.users_of(ref)
    if pool.held(ref) and not any(vm["power_state"] == "Running" for vm in users):
        add("dom0-vbd", vdi, "detaches the VDI from dom0", "held", f"dom0 holds {vdi['name_label']}")
    # Of a VDI that its SR has not looked at since, the size is not known yet.
    used = {"bytes": int(vdi["physical_utilisation"]) or int(vdi["virtual_size"])}
    if vdi["is_a_snapshot"]:
        if BASE_KEY in config and not users:
            removal = "removes the snapshot, which was taken to be read back"
            add("base", vdi, removal, vdi["snapshot_of"], since=_time(vdi["snapshot_time"]), **used)
        return
    if left_tests.is_test_clone(vdi, users):
        _add_test(add, left_tests.TEST_CLONE, vdi, **used)
        return
    if any(not _is_shell(vm) for vm in users):
        return  # somebody uses it
    facts = config.get(WRITTEN_KEY, "")
    if WRITTEN_KEY in config:
        add("vdi-data", vdi, "destroys the VDI and the data that was copied into it", facts, holds_data=True, **used)
    else:
        add("vdi", vdi, "destroys the VDI, which was never written", facts, **used)


def _time(told: Any) -> Any:
    """A DateTime of XML-RPC, or a text of JSON-RPC: ``20261125T02:00:00Z``."""
    from datetime import UTC, datetime

    text = str(getattr(told, "value", told))
    for form in ("%Y%m%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return moment if moment.year > 1970 else None
    return None


def runs(api: Connection, migration: str) -> bool:
    """Whether a VM of that migration is not halted."""
    return any(
        _migration(vm) == migration and not vm["is_a_snapshot"] and vm["power_state"] != "Halted"
        for vm in api.call("VM.get_all_records").values()
    )


def remove(api: Connection, found: Found) -> None:
    """One of :func:`leftovers`."""
    errand = Errand(migration=found.migration, workflow=found.workflow, source="", target=found.system, vm=found.name)
    match found.kind:
        case "task":
            _remove_task(api, found)
        case "dom0-vbd":
            vdi = _ref(api, "VDI", found.subject)
            if vdi is not None:
                dom0.let_go(api, vdi, force=bool(tasks.unended_of(api, found.subject)))
        case "base":
            vdi = _ref(api, "VDI", found.subject)
            if vdi is not None:
                bases.remove_base(api, vdi, api.call("VDI.get_record", vdi))
        case "shell":
            vm = _ref(api, "VM", found.subject)
            if vm is not None and not _is_shell(api.call("VM.get_record", vm)):
                raise FerryError("gc.changed", f"{found.name} may have run")
            remove_shell(api, errand)
        case "claim":
            vm = _ref(api, "VM", found.subject)
            if vm is not None:
                api.call("VM.remove_from_other_config", vm, SOURCE_MACHINE_KEY)
        case "pre-start":
            snapshot = _ref(api, "VM", found.subject)
            if snapshot is not None:
                remove_snapshot(api, snapshot, api.call("VM.get_record", snapshot))
        case "vdi" | "vdi-data":
            _remove_vdi(api, found)
        case left_tests.TEST_VM | left_tests.TEST_CLONE | left_tests.TEST_NETWORK:
            _remove_test(api, found)
        case _:
            raise FerryError("internal", f"nothing removes a {found.kind}")


def _remove_task(api: Connection, found: Found) -> None:
    if unended(api, found.migration):
        raise FerryError("xapi.busy", f"{found.name}: the pool still computes a checksum, which nobody can stop")
    ref = tasks.ref_of(api, found.subject)
    if ref is not None:
        tasks.discard(api, ref)


def _remove_test(api: Connection, found: Found) -> None:
    kind = {left_tests.TEST_VM: "VM", left_tests.TEST_CLONE: "VDI", left_tests.TEST_NETWORK: "network"}[found.kind]
    ref = _ref(api, kind, found.subject)
    if ref is not None and not left_tests.remove(api, found, ref):
        raise FerryError("gc.changed", f"{found.name} is in use, or is another's now")


def _remove_vdi(api: Connection, found: Found) -> None:
    vdi = _ref(api, "VDI", found.subject)
    if vdi is None:
        return
    record = api.call("VDI.get_record", vdi)
    if not belongs_to(record, found.migration) or (WRITTEN_KEY in record["other_config"]) != (found.kind == "vdi-data"):
        raise FerryError("gc.changed", f"{found.name} was written, or is another's now")
    dom0.let_go(api, vdi, force=bool(tasks.unended_of(api, found.subject)))
    vanish(api, "VDI.destroy", vdi)


def _ref(api: Connection, kind: str, uuid: str) -> str | None:
    try:
        return str(api.call(f"{kind}.get_by_uuid", uuid))
    except XapiFailure as failure:
        if failure.wire in GONE:
            return None
        raise
