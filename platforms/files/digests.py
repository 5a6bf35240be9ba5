"""The digests that an appliance brings along (``.mf``), and whether its files have them."""

import hashlib
import re
import threading

from contracts.errors import FerryError
from platforms.files.ova import Part

_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s?\((.{1,300})\)\s?=\s?([0-9a-fA-F]{40,128})")
_LENGTHS = {"SHA1": 40, "SHA256": 64, "SHA512": 128}
PIECE = 4 << 20


def digests_in(data: bytes, what: str) -> dict[str, tuple[str, str]]:
    """File to algorithm and digest, in hex.

    Raises:
        FerryError: ``file.unreadable``.
    """
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        told = _LINE.fullmatch(line.strip())
        if told is None or len(told[3]) != _LENGTHS[told[1]]:
            raise FerryError("file.unreadable", f"{what}: line {number} is no digest")
        found[told[2]] = (told[1], told[3].lower())
    return found


def check_bytes(name: str, data: bytes, algorithm: str, wanted: str) -> None:
    """Of what is at hand. Raises ``file.digest``."""
    if (found := hashlib.new(algorithm.lower(), data, usedforsecurity=False).hexdigest()) != wanted:
        raise FerryError("file.digest", f"{name} is not as the appliance says: its {algorithm} is {found}")


def check(name: str, part: Part, algorithm: str, wanted: str, cut: threading.Event) -> None:
    """Read all of it.

    Raises:
        FerryError: ``file.digest``; ``migration.cancelled`` when it was cut.
    """
    digest = hashlib.new(algorithm.lower(), usedforsecurity=False)
    with part.path.open("rb") as file:
        file.seek(part.offset)
        left = part.size
        while left:
            piece = file.read(min(PIECE, left))
            if not piece:
                raise FerryError("file.truncated", f"{name} ends {left} bytes early")
            digest.update(piece)
            left -= len(piece)
            if cut.is_set():
                raise FerryError("migration.cancelled", f"reading {name} was called off")
    if digest.hexdigest() != wanted:
        raise FerryError("file.digest", f"{name} is not as the appliance says: its {algorithm} is {digest.hexdigest()}")
