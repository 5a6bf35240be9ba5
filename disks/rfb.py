"""A picture of a screen by RFB 3.3 to 3.8 (RFC 6143): look, take one whole frame, and leave.

Security None only: XAPI's tunnel is inside TLS and a session. The connection is shared, so that nobody who looks at the
same screen is thrown out. All sizes are bounded, since the other side is not ours to trust.
"""

import struct
import zlib
from collections.abc import Callable

MOST_SIDE = 4096
"""Pixels of width or height."""
MOST_WORDS = 1 << 16
"""Bytes of a name, a reason or a clipboard."""
MOST_MESSAGES = 10_000
_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)  # blue, green, red, nothing
_RAW = 0


class BrokenRfb(Exception):
    """These bytes are no RFB that we read; the message says why."""


def screenshot(exactly: Callable[[int], bytes], send: Callable[[bytes], object]) -> bytes:
    """The screen as PNG.

    Args:
        exactly: that many bytes, or an ``OSError``; time-outs are its affair.

    Raises:
        BrokenRfb: it speaks otherwise, wants a password, or is too large.
        OSError: whatever the connection raised.
    """
    width, height = _handshake(exactly, send)
    send(b"\0\0\0\0" + _FORMAT)
    send(struct.pack(">BxHi", 2, 1, _RAW))
    send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
    return png(width, height, _frame(exactly, width, height))


def _handshake(exactly: Callable[[int], bytes], send: Callable[[bytes], object]) -> tuple[int, int]:
    said = exactly(12)
    if said[:4] != b"RFB " or said[7:8] != b"." or not (said[4:7] + said[8:11]).isdigit():
        raise BrokenRfb("it does not speak RFB")
    version = min((int(said[4:7]), int(said[8:11])), (3, 8))
    if version < (3, 7):  # others than 3.3, 3.7 and 3.8 are to be taken for 3.3
        version = (3, 3)
    send(f"RFB {version[0]:03}.{version[1]:03}\n".encode())
    first = 4 if version == (3, 3) else exactly(1)[0]
    offered = exactly(first)[-1:] if version == (3, 3) else exactly(first) or b"\0"
    if 0 in offered:
        raise BrokenRfb(f"refused: {_words(exactly).decode('latin-1')[:200]!r}")
    if 1 not in offered:
        raise BrokenRfb("it wants a password")
    if version > (3, 3):
        send(b"\1")
    if version == (3, 8) and exactly(4) != b"\0\0\0\0":
        raise BrokenRfb("refused")
    send(b"\1")  # shared
    width, height = struct.unpack(">HH", exactly(4))
    exactly(16)
    _words(exactly)
    if not 0 < width <= MOST_SIDE or not 0 < height <= MOST_SIDE:
        raise BrokenRfb(f"a screen of {width}x{height}")
    return width, height


def _words(exactly: Callable[[int], bytes]) -> bytes:
    (length,) = struct.unpack(">I", exactly(4))
    if length > MOST_WORDS:
        raise BrokenRfb(f"a text of {length} bytes")
    return exactly(length)


def _frame(exactly: Callable[[int], bytes], width: int, height: int) -> bytearray:
    """Rows of 4 bytes a pixel, once as many pixels came as the screen has."""
    frame, owed = bytearray(width * height * 4), width * height
    for _ in range(MOST_MESSAGES):
        kind = exactly(1)[0]
        if kind == 0:
            (count,) = struct.unpack(">xH", exactly(3))
            for _ in range(count):
                owed -= _rectangle(exactly, frame, width, height)
            if owed <= 0:
                return frame
        elif kind == 1:
            (colours,) = struct.unpack(">x2xH", exactly(5))
            exactly(colours * 6)
        elif kind == 3:
            exactly(3)
            _words(exactly)
        elif kind != 2:
            raise BrokenRfb(f"a message of kind {kind}")
    raise BrokenRfb("the picture has no end")


def _rectangle(exactly: Callable[[int], bytes], frame: bytearray, width: int, height: int) -> int:
    x, y, wide, high, encoding = struct.unpack(">HHHHi", exactly(12))
    if encoding != _RAW or x + wide > width or y + high > height:
        raise BrokenRfb(f"a rectangle of {wide}x{high} at {x},{y} in encoding {encoding}")
    for row in range(y, y + high):
        at = (row * width + x) * 4
        frame[at : at + wide * 4] = exactly(wide * 4)
    return int(wide * high)


def png(width: int, height: int, frame: bytearray) -> bytes:
    """A frame of 4 bytes a pixel (blue, green, red, nothing) as an RGB picture."""
    rows = bytearray()
    for at in range(0, len(frame), width * 4):
        line, rgb = frame[at : at + width * 4], bytearray(width * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = line[2::4], line[1::4], line[0::4]
        rows += b"\0" + rgb
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
