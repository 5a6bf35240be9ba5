"""What boots a disk, by its first sectors: a GPT with an ESP is for UEFI, an MBR with boot code for BIOS."""

import struct
import uuid

from contracts.machine import Firmware

HEAD = 34 * 512
"""Bytes that are looked at: MBR, GPT header, and 128 entries."""
_ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")


def boots_by(head: bytes) -> Firmware | None:
    """None where it does not tell: no table, or one that both can boot."""
    if len(head) < HEAD or head[510:512] != b"\x55\xaa":
        return None
    code = any(head[:440])
    if head[512:520] != b"EFI PART":
        return Firmware.BIOS if code else None
    entries, size = struct.unpack_from("<II", head, 512 + 80)
    kinds = set()
    for number in range(min(entries, 128)):
        at = 1024 + number * size
        if size < 128 or at + 16 > len(head):
            break
        kinds.add(uuid.UUID(bytes_le=head[at : at + 16]))
    if _ESP in kinds and _BIOS_BOOT not in kinds:
        return Firmware.UEFI
    if _BIOS_BOOT in kinds and _ESP not in kinds:
        return Firmware.BIOS
    return None
