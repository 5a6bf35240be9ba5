"""The reference disk: 4 GiB, about 45 % allocated in runs, half of it compressible, half random."""

import random
from pathlib import Path

MIB = 1 << 20
CAPACITY = 4 << 30
WORDS = [b"migration ", b"snapshot ", b"sector ", b"hypervisor ", b"delta ", b"\n", b"0123456789abcdef ", b"the "]


def make(file: Path, capacity: int = CAPACITY, seed: int = 7) -> int:
    """Write it; the bytes that are allocated."""
    chance = random.Random(seed)
    text = b"".join(chance.choice(WORDS) for _ in range(600_000))
    allocated, at = 0, 0
    with file.open("wb") as out:
        out.truncate(capacity)
        while at < capacity:
            run = min(chance.choice([1, 2, 8, 16, 32]) * MIB, capacity - at)
            if allocated <= 0.45 * at:
                out.seek(at)
                for place in range(0, run, MIB):
                    if chance.random() < 0.5:
                        out.write(chance.randbytes(MIB))
                    else:
                        start = chance.randrange(len(text) - MIB)
                        out.write(text[start : start + MIB])
                    del place
                allocated += run
            at += run
    return allocated
