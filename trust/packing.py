"""Large payloads deflated, as Temporal takes 2 MiB of one: the state of a fleet of thousands is a tenth of its JSON.

What is small stays as it is, so that the Web UI and the `temporal` command line read it without a codec server. Any
client may send its payloads unpacked.
"""

import zlib

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from contracts.errors import FerryError

ENCODING = b"binary/zlib"
"""As Temporal's own samples call it."""
LARGE = 256 << 10
"""Bytes from which on a payload is packed."""
MOST = 64 << 20
"""Bytes of one that is unpacked: more is nobody's state, and could be made to fill a worker's memory."""


def packed(payload: Payload) -> Payload:
    """Deflated where it is large."""
    if len(payload.data) < LARGE or payload.metadata.get("encoding") == ENCODING:
        return payload
    return Payload(metadata={"encoding": ENCODING}, data=zlib.compress(payload.SerializeToString(), 6))


def unpacked(payload: Payload) -> Payload:
    """As it was.

    Raises:
        FerryError: ``temporal.payload_damaged``.
    """
    if payload.metadata.get("encoding") != ENCODING:
        return payload
    inflater = zlib.decompressobj()
    try:
        whole = inflater.decompress(payload.data, MOST)
        if not inflater.eof or inflater.unused_data:
            raise FerryError("temporal.payload_damaged", f"a packed payload is cut, or over {MOST >> 20} MiB")
        return Payload.FromString(whole)
    except (zlib.error, DecodeError) as error:
        raise FerryError("temporal.payload_damaged", f"a packed payload does not open: {error}") from None
