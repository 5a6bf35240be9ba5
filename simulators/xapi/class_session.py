"""Classes session, task, event and the small ones."""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulators.xapi.class_vdi import used_of
from simulators.xapi.failure import XapiFailure
from simulators.xapi.pool import message
from simulators.xapi.signatures import to_wire

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool


@message("session.login_with_password")
def login(pool: "Pool", session: str, uname: str, pwd: str, version: str = "1.1", originator: str = "") -> str:
    return pool.sessions.login(uname, pwd, originator)


@message("host.get_servertime")
def server_time(pool: "Pool", session: str, host: str) -> datetime:
    skew = pool.inventory.hosts[pool.hosts.index(host)].clock_skew_seconds
    return datetime.now(UTC) + timedelta(seconds=skew)


@message("session.logout")
def logout(pool: "Pool", session: str) -> str:
    pool.sessions.end(session)
    return ""


@message("task.create")
def create_task(pool: "Pool", session: str, label: str, description: str) -> str:
    return pool.tasks.create(label, description, session)


@message("task.destroy")
def destroy_task(pool: "Pool", session: str, task: str) -> str:
    if pool.db.get("task", task)["status"] == "pending":
        return ""  # only marked: it goes when it ends
    pool.tasks.destroy(task)
    return ""


@message("task.cancel")
def cancel_task(pool: "Pool", session: str, task: str) -> str:
    pool.db.get("task", task)  # imports never look at the flag (xapi.md §1.6)
    return ""


@message("task.set_status")
def set_task_status(pool: "Pool", session: str, task: str, value: str) -> str:
    pool.db.get("task", task)["status"] = value
    pool.tasks.touched(task)
    return ""


@message("event.from")
def events_from(pool: "Pool", session: str, classes: list[str], token: str, timeout: float) -> dict[str, Any]:
    """Events of tasks only; a token of nothing begins with a snapshot of all."""
    wanted = {each.partition("/")[2] for each in classes if each.startswith("task/")}
    every = "task" in classes or "*" in classes
    since = int(token) if token else 0
    deadline = time.monotonic() + timeout
    while True:
        with pool.tasks.changed:
            now = pool.tasks.generation
            fresh = [each for each in pool.tasks.log if each[0] > since and (every or each[2] in wanted)]
            if not token:
                fresh = [(now, "add", ref) for ref in pool.db.all("task") if every or ref in wanted]
            if fresh or time.monotonic() >= deadline or not token:
                break
            pool.tasks.changed.wait(max(0.0, min(0.2, deadline - time.monotonic())))
    return {
        "token": str(now),
        "valid_ref_counts": {"task": len(pool.db.all("task"))},
        "events": [
            {
                "id": str(generation), "timestamp": "0.0", "class": "task", "operation": operation, "ref": ref,
                **({"snapshot": to_wire(pool.db.get("task", ref), native=False)} if pool.db.has("task", ref) else {}),
            }
            for generation, operation, ref in fresh
        ],
    }  # fmt: skip


@message("SR.scan")
def scan(pool: "Pool", session: str, sr: str) -> str:
    update_sr(pool, session, sr)
    return ""


@message("SR.update")
def update_sr(pool: "Pool", session: str, sr: str) -> str:
    if not any(pool.sees(host, sr) for host in pool.hosts):
        raise XapiFailure("SR_HAS_NO_PBDS", sr)
    record = pool.db.get("SR", sr)
    record["physical_utilisation"] = used_of(pool, sr)
    record["virtual_allocation"] = sum(vdi["virtual_size"] for vdi in pool.db.all("VDI").values() if vdi["SR"] == sr)
    return ""
