"""What a console says, and RFB from servers that mean no good."""

import io
import struct

import pytest

from contracts.console import TAIL, diagnosed, plain, tail
from contracts.error_catalogue import entry
from disks.rfb import BrokenRfb, screenshot


def test_a_terminals_control_sequences_are_no_text():
    assert plain(b"\x1b[2J\x1b]0;title\x07\x1b(B one\r\n\r\n\x1b[31mtwo\x1b[0m \x00\r\n") == " one\ntwo"


def test_the_tail_has_whole_lines():
    assert tail("x" * 100 + "\n" + "y" * (TAIL - 10)) == "y" * (TAIL - 10)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("dracut-initqueue[301]: Warning: dracut-initqueue timeout - starting timeout scripts", "smoke.no_root_device"),
        ("Warning: /dev/mapper/ol-root does not exist", "smoke.no_root_device"),
        ("ALERT!  UUID=12-34 does not exist.  Dropping to a shell!", "smoke.no_root_device"),
        ("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", "smoke.no_root_device"),
        ("error: no such device: 1234.\ngrub rescue>", "smoke.no_boot_loader"),
        ("No bootable device.", "smoke.no_boot_device"),
        ("web01 login:", ""),
    ],
)
def test_boots_that_failed_are_named(text, code):
    assert diagnosed(text) == code
    assert not code or entry(code)


def of(said: bytes) -> bytes:
    stream = io.BytesIO(said)

    def exactly(count: int) -> bytes:
        got = stream.read(count)
        if len(got) < count:
            raise ConnectionError
        return got

    return screenshot(exactly, lambda _: None)


SCREEN = b"RFB 003.003\n" + struct.pack(">I", 1) + struct.pack(">HH16xI", 2, 1, 0)


def test_rfb_3_3_is_spoken_too():
    assert of(SCREEN + struct.pack(">BxHHHHHi", 0, 1, 0, 0, 2, 1, 0) + bytes(8)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200",
        b"RFB 003.008\n\x01\x02",
        b"RFB 003.008\n\x00" + struct.pack(">I", 3) + b"no!",
        b"RFB 003.003\n" + struct.pack(">I", 1) + struct.pack(">HH16xI", 60000, 60000, 0),
        b"RFB 003.003\n" + struct.pack(">I", 1) + struct.pack(">HH16xI", 2, 1, 1 << 31),
        SCREEN + struct.pack(">BxHHHHHi", 0, 1, 1, 0, 2, 1, 0),
        SCREEN + struct.pack(">BxHHHHHi", 0, 1, 0, 0, 2, 1, 16),
        SCREEN + b"\x09",
        SCREEN + struct.pack(">BxH", 0, 0) * 10_001,
    ],
)
def test_what_is_no_rfb_of_ours_is_refused(said):
    with pytest.raises(BrokenRfb):
        of(said)
