"""The same by hand, as the documents have it: `curl`, `qemu-img convert -m16 -W`, `curl -T`, each timed whole."""

import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode

from pyVmomi import vim

from contracts.config import SourceConfig
from platforms.secrets import resolve
from platforms.vsphere.source import VsphereSource
from platforms.vsphere.transports.lease import Lease
from platforms.xapi.target import XapiTarget
from tests.benchmarks.datapath.stage import Stage

_ = vim


def by_hand(stage: Stage, path: str, vm: str, source: VsphereSource, pool: XapiTarget) -> float:
    """Seconds from the source to a VDI whose import has ended."""
    scratch = stage.scratch
    for each in scratch.iterdir():
        each.unlink()
    config = source.session.config
    vhd = scratch / "disk.vhd"
    began = time.perf_counter()
    match path:
        case "https":
            _download(config, f"{config.url}/folder/{vm}/{vm}-flat.vmdk?dcPath=DC&dsName=store1", scratch / "disk.raw")
            _convert(scratch / "disk.raw", vhd, "raw")
            (scratch / "disk.raw").unlink()
        case "nfs":
            _convert(stage.flat(vm), vhd, "raw")
        case "nfc":
            lease = Lease(source.session, source._find(source.machine(vm).machine_id), None)
            _download(config, next(iter(lease.urls.values())), scratch / "disk.vmdk", login=False)
            lease.end(complete=True)
            _convert(scratch / "disk.vmdk", vhd, "vmdk")
            (scratch / "disk.vmdk").unlink()
        case "nbd":
            socket = scratch / "socket"
            server = subprocess.Popen(["nbdkit", "-f", "-r", f"--unix={socket}", "file", str(stage.flat(vm))])
            while not socket.exists():
                time.sleep(0.01)
            _convert(f"nbd+unix:///?socket={socket}", vhd, "raw")
            server.terminate()
            server.wait()
            socket.unlink(missing_ok=True)
    before = time.perf_counter() - began
    vdi, query = _vdi(pool)
    began = time.perf_counter()
    subprocess.run(
        ["curl", "--fail", "-sS", "--cacert", stage.target.parent / "ca.pem", "-T", vhd,
         f"{pool._api.url}/import_raw_vdi?{query}"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    after = time.perf_counter() - began
    pool._api.call("VDI.destroy", vdi)
    vhd.unlink()
    return before + after


def _download(config: SourceConfig, url: str, file: Path, *, login: bool = True) -> None:
    user = ["-u", f"{config.username}:{resolve(config.password)}"] if login else []
    subprocess.run(["curl", "--fail", "-sS", "--cacert", str(config.ca_file), *user, "-o", file, url], check=True)


def _convert(file: Path | str, vhd: Path, form: str) -> None:
    subprocess.run(
        ["qemu-img", "convert", "-m16", "-W", "-f", form, "-O", "vpc", "-o", "force_size=on",
         str(file), vhd],
        check=True,
    )  # fmt: skip


def _vdi(pool: XapiTarget) -> tuple[str, str]:
    sr = pool._api.call("SR.get_by_name_label", "local-ext")[0]
    record = {
        "name_label": "by hand", "name_description": "", "SR": sr, "virtual_size": str(4 << 30), "type": "user",
        "sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": [],
    }  # fmt: skip
    vdi = pool._api.call("VDI.create", record)
    uuid = pool._api.call("VDI.get_uuid", vdi)
    return vdi, urlencode({"session_id": pool._api.session(), "vdi": uuid, "format": "vhd"})
