"""`make footprint`: what a worker weighs, how long a large empty disk takes, and how much history there is. JSON.

A disk of 1.9 TiB with 100 MB of data is migrated on real programs (Temporal server, lab, worker): seconds to
`awaiting-approval`, each proof, the worker's greatest RSS. The second proof reads all 1.9 TiB, holes too: by default
its rate is taken over a minute and the whole is reckoned from it; ``--full`` reads to the end.
Then a two-disk VM is migrated twice, with few and with many passes: so the events of a pass, and of all else.

Limits (issue 3): RSS < 250 MiB; ≤ 40 events a pass of two disks, ≤ 160 for all else, over all runs. Ends 1 beyond.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from contracts.names import Phase
from starter.looking import look
from starter.seen import Seen
from starter.temporal_server import DevServer
from tests.end_to_end.running import Programs, programs
from tests.support import register_search_attributes

MIB, TIB = 1 << 20, 1 << 40
BIG = int(1.9 * TIB) // MIB * MIB
DATA = 100_000_000
RSS_MOST = 250 * MIB
EVENTS_A_PASS, EVENTS_ELSE = 40, 160
FEW, MANY = 3, 13
RATE_OVER = 60.0
PATIENCE = 600.0
HOURS = 4 * 3600.0

INVENTORY = """
vsphere:
  datastores: [{name: vmfs1, type: VMFS, vmfs: 6, base_readable: true}, {name: nfs1, type: NFS}]
  vms:
    - name: big
      firmware: efi
      power: on
      disks: [{image: big.raw, datastore: vmfs1}]
      guest: {tools: running, writes_mib_per_s: 0, shutdown_seconds: 0.2}
    - &pair
      name: few
      power: on
      disks: [{size_mib: 32, datastore: nfs1}, {size_mib: 32, datastore: nfs1, unit: 1}]
      guest: {tools: running, writes_mib_per_s: 0.5, writes_span_mib: 4, shutdown_seconds: 0.2}
    - {<<: *pair, name: many}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 8192}]
  networks: [{name: lan}]
"""


def main() -> int:
    """Measure, print one JSON object, and judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="read the source to its end (about half an hour or more)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferry-footprint-") as folder:
        measured = asyncio.run(_measure(Path(folder), full=asked.full))
    print(json.dumps(measured, indent=2), flush=True)
    beyond = [name for name, holds in measured["holds"].items() if not holds]
    if beyond:
        print(f"beyond the limits: {', '.join(beyond)}", file=sys.stderr, flush=True)
    return 1 if beyond else 0


async def _measure(folder: Path, *, full: bool) -> dict[str, Any]:
    inventory = folder / "inventory.yaml"
    inventory.write_text(INVENTORY)
    _make_big(folder / "big.raw")
    with DevServer(folder / "temporal") as server, programs(folder, server.address) as running:
        await register_search_attributes(server.address)
        running.lab(inventory)
        worker = running.worker()
        client = await Client.connect(server.address, data_converter=pydantic_data_converter)
        big = await _big(client, running, worker.pid, full=full)
        few = await _events(client, running, "few", FEW)
        many = await _events(client, running, "many", MANY)
        rss = _greatest_rss(worker.pid)
    a_pass = (many["events"] - few["events"]) / (many["passes"] - few["passes"])
    everything_else = few["events"] - a_pass * few["passes"]
    return {
        "disk_bytes": BIG,
        "data_bytes": DATA,
        **big,
        "worker_rss_mib": round(rss / MIB, 1),
        "history": {"few": few, "many": many},
        "events_a_pass_of_two_disks": round(a_pass, 1),
        "events_for_all_else": round(everything_else, 1),
        "holds": {
            "worker_rss": rss < RSS_MOST,
            "events_a_pass": a_pass <= EVENTS_A_PASS,
            "events_for_all_else": everything_else <= EVENTS_ELSE,
            "proof_target_is_sent": big["proof_target_is_sent"]["holds"],
            **({"proof_target_is_source": big["proof_target_is_source"]["holds"]} if full else {}),
        },
    }


def _make_big(file: Path) -> None:
    """Data in 100 places, the first and the last sector among them; all else is hole."""
    chance = random.Random(7)
    piece = DATA // 100 // 4096 * 4096
    with file.open("wb") as out:
        out.truncate(BIG)
        for number in range(100):
            at = {0: 0, 99: BIG - piece}.get(number, chance.randrange(BIG // MIB - 2) * MIB)
            out.seek(at)
            out.write(chance.randbytes(piece))


async def _big(client: Client, running: Programs, worker: int, *, full: bool) -> dict[str, Any]:
    began = time.monotonic()
    _start(running, "big", "5m")
    await _until(client, "big", lambda seen: seen.awaits_approval)
    reached = time.monotonic() - began
    approved = time.monotonic()
    _ferry(running, "approve", "big", "--yes")
    started = await _until(client, "big", lambda seen: seen.phase == Phase.START and bool(_proving(seen)))
    running_after = time.monotonic() - approved
    told: dict[str, Any] = {
        "seconds_to_awaiting_approval": round(reached, 1),
        "seconds_from_approval_to_running_target": round(running_after, 1),
    }
    if full:
        ended = await _until(client, "big", lambda seen: seen.report is not None, HOURS)
    else:
        told["proof_target_is_source"] = await _rate(client, started, worker)
        _ferry(running, "cancel", "big", "--yes")
        ended = await _until(client, "big", lambda seen: seen.report is not None)
    assert ended.report is not None
    [disk] = ended.report.disks
    for name in ("proof_target_is_sent", "proof_target_is_source"):
        proof = getattr(disk, name)
        if proof is not None:
            told[name] = {"holds": proof.holds, "seconds": round(proof.seconds, 1), "bytes_read": proof.bytes_read}
    return told


async def _rate(client: Client, seen: Seen, worker: int) -> dict[str, Any]:
    """How fast the second proof reads, over a minute, and what the worker spends on it; the whole is reckoned."""
    began, first, spent = time.monotonic(), _proving(seen), _cpu(worker)
    await asyncio.sleep(RATE_OVER)
    last = _proving(await look(client, "migrate/vsphere/big"))
    seconds = time.monotonic() - began
    rate = (last - first) / seconds
    return {
        "worker_cpu": round((_cpu(worker) - spent) / seconds, 2),
        "holds": None,
        "measured": f"over {RATE_OVER:.0f} s, not to its end (--full)",
        "bytes_per_second": round(rate),
        "seconds_reckoned": round(BIG / rate) if rate else None,
    }


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _proving(seen: Seen) -> int:
    return sum(each.done for each in seen.working if each.step == "proof")


async def _events(client: Client, running: Programs, vm: str, passes: int) -> dict[str, Any]:
    """Migrate with at least so many passes before the cutover, and count the events of all runs."""
    _start(running, vm, "1s")
    await _until(
        client, vm, lambda seen: seen.awaits_approval and seen.status is not None and len(seen.status.passes) >= passes
    )
    _ferry(running, "approve", vm, "--yes")
    ended = await _until(client, vm, lambda seen: seen.report is not None)
    assert ended.report is not None
    runs = [each async for each in client.list_workflows(f"WorkflowId = 'migrate/vsphere/{vm}'")]
    events = 0
    for run in runs:
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        events += len(history.events)
    return {"outcome": ended.report.outcome, "passes": ended.report.passes, "events": events, "runs": len(runs)}


def _start(running: Programs, vm: str, interval: str) -> None:
    _ferry(running, "start", vm, "--delta-interval", interval)


def _ferry(running: Programs, *words: str) -> None:
    ended: subprocess.CompletedProcess[str] = running.ferry(*words)
    if ended.returncode not in (0, 5, 8):
        raise RuntimeError(f"ferry {' '.join(words)}: {ended.returncode}\n{ended.stderr}")


async def _until(client: Client, vm: str, wanted: Any, patience: float = PATIENCE) -> Seen:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        seen = await look(client, f"migrate/vsphere/{vm}")
        if wanted(seen):
            return seen
        if seen.report is not None or (seen.status is not None and seen.status.needs_human):
            raise RuntimeError(f"{vm}: {seen.report or seen.status}")
        await asyncio.sleep(0.2)
    raise RuntimeError(f"{vm}: not within {patience:.0f} s, it is in {seen.phase}")


def _greatest_rss(pid: int) -> int:
    """The kernel's own high-water mark, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the worker is gone")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)  # SDK 1.35 crashes the interpreter at exit now and then (temporal.md §7a)
