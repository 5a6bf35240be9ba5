"""Whether it is certain that a VM never ran since it was made: only then its disks still are what was sent (SAFETY 18).

Three records must agree. XAPI makes ``VM_metrics`` with the VM, ``start_time`` at the epoch, and sets it when a domain
is made (xapi_xenops.ml); older versions may set it back when the VM halts. ``last_boot_CPU_flags`` is empty until a
start fills it, before anything boots, and nothing but a later start changes it (cpuid_helpers.ml, ``reset_cpu_flags``).
And it must be halted, with its start blocked by us: else it may be starting right now.
"""

from contracts.errors import FerryError
from contracts.machine import OwnerMark
from platforms.xapi import blueprint
from platforms.xapi.connection import Connection
from platforms.xapi.lookup import Record, records_of, vm_ref
from platforms.xapi.marks import check_epoch

_STARTING = {*blueprint.BLOCKED, "changing_state"}


def why_it_may_have_run(api: Connection, uuid: str, mark: OwnerMark) -> str:
    """Empty: it never ran, and cannot start.

    Raises:
        FerryError: ``source.stale_epoch`` where a newer decision was made (SAFETY 14).
    """
    try:
        record: Record = api.call("VM.get_record", vm_ref(api, uuid))
        check_epoch(record["other_config"], mark)
    except FerryError as error:
        if error.code != "xapi.shell_broken":
            raise
        return error.message
    name = record["name_label"]
    open_ways = [each for each in blueprint.BLOCKED if each not in record["blocked_operations"]]
    if open_ways:
        return f"{name}: {', '.join(open_ways)} is not blocked"
    if record["power_state"] != "Halted":
        return f"{name} is {record['power_state'].lower()}"
    if set(record["current_operations"].values()) & _STARTING:
        return f"{name} is being started"
    if record["last_boot_CPU_flags"]:
        return f"{name} was started at some time: the pool knows on which CPU"
    times = [str(each["start_time"]) for each in records_of(api, "VM_metrics", [record["metrics"]]).values()]
    if not times:
        return f"{name}: the pool does not tell whether it was started"
    return "" if times[0].startswith("1970") else f"{name} was started at {times[0]}"
