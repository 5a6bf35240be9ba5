"""`PUT /import_raw_vdi` and `GET /export_raw_vdi` behind their HTTP heads: attach to dom0, move bytes, detach, task."""

import contextlib
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simulators.faults import FaultRule
from simulators.xapi import vhd_stream
from simulators.xapi.class_vdi import VHD_MOST, forget_vbd, vhd_backed
from simulators.xapi.failure import XapiFailure
from simulators.xapi.receiver import BlockDevice, Body, ReceiverFailed, receive_chunked, receive_raw
from simulators.xapi.vhd_receiver import receive_vhd

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool

IO_ERROR = ["VDI_IO_ERROR", "Device I/O errors"]


def attach(pool: "Pool", host: str, vdi: str, mode: str) -> str:
    """A dom0 VBD, plugged.

    Raises:
        XapiFailure: another host holds the VDI, or only readers hold it here and this is a writer.
    """
    with pool.attach_lock, pool.db.lock:
        held = [vbd for vbd in pool.vbds_of_vdi(vdi).values() if vbd["currently_attached"]]
        for vbd in held:
            if pool.db.get("VM", vbd["VM"])["resident_on"] != host:
                raise XapiFailure("SR_BACKEND_FAILURE_46", "", "The VDI is not available", "")
        if mode == "RW" and held and all(vbd["mode"] == "RO" for vbd in held):
            raise XapiFailure("VDI_IN_USE", vdi, "attach")  # RW over RO is no legal transition (xapi.md §1.8)
        dom0 = pool.dom0_of(host)
        vm = pool.db.get("VM", dom0)
        taken = {pool.db.get("VBD", each)["userdevice"] for each in vm["VBDs"]}
        device = next(str(each) for each in range(10_000) if str(each) not in taken)
        ref = pool.db.add(
            "VBD", VM=dom0, VDI=vdi, userdevice=device, mode=mode, type="Disk", currently_attached=True,
            unpluggable=True,
        )  # fmt: skip
        vm["VBDs"].append(ref)
        pool.db.get("VDI", vdi)["VBDs"].append(ref)
        return ref


def detach(pool: "Pool", vbd: str) -> None:
    """Unplug and destroy; one that somebody else has removed is gone already."""
    with pool.db.lock:
        if pool.db.has("VBD", vbd):
            forget_vbd(pool, vbd)


@contextmanager
def attached(pool: "Pool", host: str, vdi: str, mode: str, rule: FaultRule | None) -> Iterator[BlockDevice]:
    """The VDI's device while it is attached to dom0."""
    vbd = attach(pool, host, vdi, mode)
    record = pool.db.get("VDI", vdi)
    sr = next(each for each in pool.inventory.srs if each.name == pool.db.get("SR", record["SR"])["name_label"])
    descriptor = os.open(pool.vdi_file(vdi), os.O_RDWR if mode == "RW" else os.O_RDONLY)
    lost = int(rule.argument) if rule is not None and rule.action == "lose" else None
    device = BlockDevice(
        descriptor, record["virtual_size"], sr.block_size,
        landed=lambda offset, length: pool.chains.wrote(vdi, offset, length), loses=lost,
    )  # fmt: skip
    pool.open_devices[vbd] = device
    if mode == "RW":
        with pool.db.lock:
            open_now = sum(1 for each in pool.vbds_of_vdi(vdi) if each in pool.open_devices)
            most = pool.stats.most_writers_at_once
            most[vdi] = max(open_now, most.get(vdi, 0))
            pool.writing.add((sr.name, vbd))
            count = sum(1 for name, _ in pool.writing if name == sr.name)
            most = pool.stats.most_written_at_once
            most[sr.name] = max(count, most.get(sr.name, 0))
    try:
        yield device
    finally:
        del pool.open_devices[vbd]
        pool.writing.discard((sr.name, vbd))
        os.close(descriptor)
        if rule is None or rule.action != "leave-vbd":
            detach(pool, vbd)


def run_import(
    pool: "Pool", host: str, vdi: str, task: str, stream: Body, *, form: str, chunked: bool, length: int | None,
    rule: FaultRule | None,
) -> bool:  # fmt: skip
    """Receive a body; the task tells how it went. True on success."""
    pool.stats.puts += 1
    began = time.monotonic()
    moved = 0

    def wrote(count: int) -> None:
        nonlocal moved
        moved += count
        pool.stats.bytes_written += count
        if pool.room_left(pool.db.get("VDI", vdi)["SR"]) < 0:
            raise ReceiverFailed("No space left on device")
        if rule is not None and rule.action == "slow":
            ahead = moved / float(rule.argument) - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)

    try:
        with attached(pool, host, vdi, "RW", rule) as device:
            if form == "vhd":
                if not prezeroed(pool, vdi):
                    raise ReceiverFailed("unimplemented: prezeroed")
                receive_vhd(_Broken(stream, rule), device, wrote)
                os.fsync(device.descriptor)
            elif chunked:
                receive_chunked(_Broken(stream, rule), device, wrote)
            else:
                receive_raw(_Broken(stream, rule), device, device.size if length is None else length, wrote)
        if rule is not None and rule.action == "error":
            raise XapiFailure(*rule.argument)
    except (ReceiverFailed, OSError):
        pool.tasks.fail(task, IO_ERROR)
        return False
    except XapiFailure as failure:
        pool.tasks.fail(task, failure.description)
        return False
    pool.tasks.succeed(task, f"<value>{vdi}</value>")
    if rule is not None and rule.action == "lose-task":
        pool.tasks.destroy(task)
    return True


def prezeroed(pool: "Pool", vdi: str) -> bool:
    """Whether the SR gives VDIs that are zeros at first (xapi.md §1.9)."""
    record = pool.db.get("VDI", vdi)
    sr = pool.db.get("SR", record["SR"])
    raw = record["sm_config"].get("type") == "raw" or sr["sm_config"].get("use_vhd") != "true"
    return not (sr["type"] in ("lvm", "lvmoiscsi", "lvmohba") and raw)


def run_export(
    pool: "Pool", host: str, vdi: str, task: str, send: Callable[[bytes | memoryview], None], *, form: str,
    base: str = "", rule: FaultRule | None,
) -> bool:  # fmt: skip
    """Send the VDI's content; raw expands all zeros, vhd leaves holes out. True on success.

    Args:
        base: a VDI, against which only the blocks are sent that the chains of the two do not share.
    """
    pool.stats.exports += 1
    try:
        if rule is not None and rule.action == "error":
            raise XapiFailure(*rule.argument)
        if form == "vhd" and pool.db.get("VDI", vdi)["virtual_size"] > VHD_MOST:
            raise XapiFailure("VDI_TOO_LARGE", vdi, str(VHD_MOST))
        if base and not (vhd_backed(pool, vdi) and vhd_backed(pool, base)):
            raise XapiFailure("INTERNAL_ERROR", "Cannot compute differences on non-VHD images")
        with contextlib.ExitStack() as both:
            if base:
                both.enter_context(attached(pool, host, base, "RO", None))
            device = both.enter_context(attached(pool, host, vdi, "RO", rule))
            sent = 0
            blocks = pool.chains.difference(vdi, base) if base else None
            pieces = vhd_stream.stream(device.descriptor, device.size, blocks) if form == "vhd" else _raw(device)
            for piece in pieces:
                if rule is not None and rule.action in ("drop", "eof") and sent >= int(rule.argument):
                    raise ReceiverFailed("on order")
                send(piece)
                sent += len(piece)
    except (ReceiverFailed, OSError):
        pool.tasks.fail(task, IO_ERROR)
        return False
    except XapiFailure as failure:
        pool.tasks.fail(task, failure.description)
        return False
    pool.tasks.succeed(task, "")
    return True


def _raw(device: BlockDevice) -> Iterator[bytes]:
    for at in range(0, device.size, 1 << 20):
        yield os.pread(device.descriptor, min(1 << 20, device.size - at), at)


class _Broken:
    """The body, cut on order: ``drop`` as by a reset, ``eof`` as by a close.

    A peer that closes without TLS's goodbye counts as an end of file, the worse of the two; a TCP reset does not.
    """

    def __init__(self, stream: Body, rule: FaultRule | None) -> None:
        self._stream = stream
        self._rule = rule if rule is not None and rule.action in ("drop", "eof") else None
        self._left = int(rule.argument or 0) if self._rule is not None and rule is not None else 0

    def readinto1(self, buffer: memoryview) -> int:
        """As the socket's."""
        if self._rule is None:
            return self._read(buffer)
        if self._left <= 0:
            if self._rule.action == "drop":
                raise ConnectionResetError("on order")
            return 0
        count = self._read(buffer[: self._left])
        self._left -= count
        return count

    def _read(self, buffer: memoryview) -> int:
        try:
            return self._stream.readinto1(buffer) or 0
        except ssl.SSLEOFError as error:
            if error.reason == "UNEXPECTED_EOF_WHILE_READING":
                return 0
            raise
