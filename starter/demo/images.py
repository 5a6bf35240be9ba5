"""Two disks with something on them: runs of random bytes and holes, the same for every demo."""

import random
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

MIB = 1 << 20
DISK_BYTES = 256 * MIB
ALLOCATED = 0.6
"""Share of a disk that holds data, as on a machine in use."""
_LONGEST_RUN = 8
"""MiB; the shortest is 1."""


def make_image(file: Path, seed: int, size: int = DISK_BYTES) -> int:
    """Write a sparse raw image, data in its first and last MiB.

    Returns:
        Bytes that hold data.
    """
    chance = random.Random(seed)  # noqa: S311  # not for secrets: the same seed makes the same disk
    # A keystream is random enough for any copy to be told from another, and ten times faster than `random`.
    noise = Cipher(AES(seed.to_bytes(16, "big")), CTR(bytes(16))).encryptor()
    written = at = 0
    with file.open("wb") as out:
        out.truncate(size)
        while at < size:
            run = min(chance.randint(1, _LONGEST_RUN) * MIB, size - at)
            edge = at == 0 or at + run >= size
            behind = (ALLOCATED * at - written) / (2 * _LONGEST_RUN * MIB)
            if edge or chance.random() < ALLOCATED + behind:
                out.seek(at)
                out.write(noise.update(bytes(run)))
                written += run
            at += run
    return written
