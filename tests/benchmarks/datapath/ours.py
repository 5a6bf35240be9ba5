"""One copy by our own data plane, in a process of its own, so that its CPU and memory are its own. JSON on stdout.

Everything is real: the freeze, the plan, the journal, the manifest, the segments; only Temporal is left out.
"""

import argparse
import json
import os
import resource
import threading
import time
import uuid
from pathlib import Path

from contracts.config import Config, VddkConfig, load_config
from contracts.steps import Errand, ShellOrder
from disks.copying import Copying
from disks.folder_store import FolderStore
from disks.ledger import Ledger
from disks.planning import next_plan
from platforms.vsphere.source import VsphereSource
from platforms.xapi.target import XapiTarget

GIB = 1 << 30


def main() -> None:
    """Copy once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--vm", required=True)
    parser.add_argument("--nfs", default="")
    parser.add_argument("--nbdkit", default="")
    said = parser.parse_args()
    source_config = load_config(said.source).sources["vsphere"]
    if said.nfs:
        source_config = source_config.model_copy(update={"nfs": {"store1": said.nfs}})
    if said.nbdkit:
        source_config = source_config.model_copy(update={"vddk": VddkConfig(nbdkit=said.nbdkit)})
    name, target_config = next(iter(_targets(load_config(said.target)).items()))
    source, target = VsphereSource("vsphere", source_config), XapiTarget(name, target_config)
    store = FolderStore(said.store)
    print(json.dumps(copy_once(source, target, store, said.vm)))
    source.close()
    target.close()


def copy_once(source: VsphereSource, target: XapiTarget, store: FolderStore, vm: str) -> dict[str, object]:
    """All disks of a machine that is off, at once, a thread each; what it took."""
    machine = source.machine(vm)
    errand = Errand(
        migration=uuid.uuid4().hex, workflow="bench", source="vsphere", target="pool", vm=vm,
        machine_id=machine.machine_id, store_id=store.id,
    )  # fmt: skip
    facts = target.facts(None)
    networks = {nic.network: next(iter(facts.networks.values())) for nic in machine.nics}
    source.claim(machine.machine_id, errand.mark())
    source.change_tracking_on(machine.machine_id)
    shell = target.make_shell(
        ShellOrder(
            errand=errand, machine=machine, sr_uuid=facts.sr_uuid, networks=networks,
            template=target.template_for(machine.guest_os),
        )
    )  # fmt: skip
    freeze = source.freeze(machine.machine_id, errand, 1, final=True)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = resource.getrusage(resource.RUSAGE_SELF)
    resident = _status("VmRSS")
    ticks = _processors()
    began = time.perf_counter()
    sent: list[int] = []
    transports: list[str] = []

    def copy(number: int) -> None:
        disk = shell.disks[number]
        frozen = source.open_disk(machine.machine_id, freeze, disk.disk_id)
        writing = target.open_disk(errand, disk)
        ledger = Ledger(store.disk(errand.migration, disk.disk_id))
        manifest = ledger.manifest(frozen.capacity)
        plan = next_plan(ledger.standing, frozen, pass_no=1, upto="1", prezeroed=disk.prezeroed)
        ledger.begin_plan(plan)
        copying = Copying(
            source=frozen, target=writing, ledger=ledger, manifest=manifest, token="bench", label=f"bench {number}",
            segment_bytes=8 * GIB, cut=threading.Event(),
        )  # fmt: skip
        assert copying.run(plan)
        sent.append(ledger.standing.sent)
        transports.append(frozen.transport)
        frozen.close()
        writing.close()
        manifest.close()

    threads = [threading.Thread(target=copy, args=(number,)) for number in range(len(shell.disks))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    busy, whole = (now - then for now, then in zip(_processors(), ticks, strict=True))
    source.release(machine.machine_id, errand.migration)
    return {
        "seconds": seconds,
        "busy": busy / whole,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "system": after.ru_stime - before.ru_stime,
        "switches": after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw,
        "bytes": sum(sent),
        "rss_mib": (_status("VmHWM") - resident) / 1024,
        "whole_rss_mib": _status("VmHWM") / 1024,
        "transport": transports[0],
        "vdis": [disk.vdi for disk in shell.disks],
        "vm": shell.vm,
    }


def _targets(config: Config) -> dict[str, object]:
    return dict(config.targets)


def _processors() -> tuple[float, float]:
    """Ticks of all processors since the machine began: busy, and in all."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _status(field: str) -> int:
    """KiB."""
    for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


if __name__ == "__main__":
    main()
