"""Consoles: their records while a VM runs, and CONNECT /console (xen-api console.ml, xapi_xenops.ml).

An HVM guest has ``rfb``; ``vt100`` only where the inventory gives it a text (``console_text``). Refusals as there: 401
without a session, 403 by role (below VM_OP), 500 for whatever handler raises (no such console, not running, running on
another host), 503 where ``limit_console_sessions`` is on and somebody is in.
"""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.xapi.failure import XapiFailure
from simulators.xapi.signatures import may

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool

WIDTH, HEIGHT = 72, 40
Read = Callable[[int], bytes]
Send = Callable[[bytes], object]


def appear(pool: "Pool", vm: str) -> None:
    """It was started."""
    record = pool.db.get("VM", vm)
    address = pool.db.get("host", record["resident_on"])["address"]
    for protocol in ("rfb", "vt100") if pool.inventory.console_text else ("rfb",):
        ref = pool.db.add("console", protocol=protocol, VM=vm, other_config={})
        pool.db.get("console", ref)["location"] = f"https://{address}/console?ref={ref}"
        record["consoles"] = [*record["consoles"], ref]


def vanish(pool: "Pool", vm: str) -> None:
    """It halted."""
    record = pool.db.get("VM", vm)
    for ref in record["consoles"]:
        pool.db.remove("console", ref)
    record["consoles"] = []


def admitted(pool: "Pool", host: str, said: dict[str, str]) -> tuple[int, str]:
    """Status, and the console's ref where it is 200; then ``leave`` must follow."""
    try:
        pool.sessions.check(said.get("session_id", ""))
    except XapiFailure:
        return 401, ""
    if not may(pool.inventory.role, "VM_OP"):
        return 403, ""
    ref = said.get("ref", "")
    with pool.db.lock:
        if not pool.db.has("console", ref):
            return 500, ""
        vm = pool.db.get("console", ref)["VM"]
        record = pool.db.get("VM", vm)
        if record["power_state"] != "Running" or record["resident_on"] != host:
            return 500, ""
        limited = any(each["limit_console_sessions"] for each in pool.db.all("pool").values())
        if limited and pool.watchers[vm]:
            return 503, ""
        pool.watchers[vm] += 1
    return 200, ref


def leave(pool: "Pool", vm: str) -> None:
    """The connection ended."""
    pool.watchers[vm] -= 1


def serve(pool: "Pool", ref: str, read: Read, send: Send) -> None:
    """The raw protocol until the other side hangs up."""
    if pool.db.get("console", ref)["protocol"] == "vt100":
        send(pool.inventory.console_text.encode())
        while read(1):
            pass
        return
    _rfb(read, send)


def _rfb(read: Read, send: Send) -> None:
    """RFB 3.8 with security None, strictly; the upper half red, the lower half blue, in two rectangles."""
    send(b"RFB 003.008\n")
    if read(12) != b"RFB 003.008\n":
        return
    send(b"\1\1")
    if read(1) != b"\1":
        return
    send(b"\0\0\0\0")
    if read(1) != b"\1":  # not shared: it would throw others out
        return
    name = b"QEMU"
    send(struct.pack(">HH16xI", WIDTH, HEIGHT, len(name)) + name)
    known = False
    while kind := read(1):
        if kind == b"\0":
            form = read(19)[3:]
            known = form[:4] == bytes((32, 24, 0, 1)) and form[10:13] == bytes((16, 8, 0))
        elif kind == b"\2":
            (count,) = struct.unpack(">xH", read(3))
            read(4 * count)
        elif kind == b"\3":
            _, x, y, wide, high = struct.unpack(">BHHHH", read(9))
            if not known or (x, y, wide, high) != (0, 0, WIDTH, HEIGHT):
                return
            half = HEIGHT // 2
            send(b"\2" + struct.pack(">BxH", 0, 2))  # a bell first: it may come at any time
            send(struct.pack(">HHHHi", 0, 0, WIDTH, half, 0) + b"\0\0\xff\0" * WIDTH * half)
            send(struct.pack(">HHHHi", 0, half, WIDTH, half, 0) + b"\xff\0\0\0" * WIDTH * half)
        else:
            return
