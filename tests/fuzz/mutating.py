"""Inputs that are almost right: a good one with a few bytes changed, moved, doubled, or cut off."""

import random
import struct

_TELLING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x200, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WIDTHS = ("<H", ">H", "<I", ">I", "<Q", ">Q")


def mutated(good: bytes, chance: random.Random) -> bytes:
    """One input; the same for the same state of ``chance``."""
    data = bytearray(good)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            break
        at = chance.randrange(len(data))
        if chance.random() < 0.7:  # near the ends, where the tables are
            at = min(at, chance.randrange(2048)) if chance.random() < 0.8 else max(at, len(data) - 1024)
        match chance.randrange(8):
            case 0 | 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at] = chance.randrange(256)
            case 3 | 4:
                width = chance.choice(_WIDTHS)
                size = struct.calcsize(width)
                at -= at % size
                word = chance.choice(_TELLING) << chance.choice((0, 0, 0, 9, 31, 32))
                data[at : at + size] = struct.pack(width, word & ((1 << 8 * size) - 1))
            case 5:
                del data[at : at + chance.choice((1, 4, 512, len(data)))]
            case 6:
                piece = data[at : at + chance.choice((1, 8, 512))]
                data[at:at] = piece * chance.choice((1, 2, 16))
            case _:
                data[at : at + 64] = chance.randbytes(min(64, len(data) - at))
    return bytes(data)
