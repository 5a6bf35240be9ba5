"""Payloads encrypted before they leave this process: AES-256-GCM, the id of the key beside each.

Temporal then holds, in histories, heartbeats and failures, what it cannot read; search attributes alone stay in clear.
What comes in clear is understood: any client may start a migration without the key.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from contracts.errors import FerryError
from trust.packing import packed, unpacked

ENCODING = b"binary/encrypted"
"""What Temporal's own samples and its Web UI call it."""
KEY_ID = "encryption-key-id"
CIPHER, CIPHER_NAME = "encryption-cipher", b"AES-256-GCM"
NONCE = 12
"""Bytes, random for each payload: good for 2**32 payloads a key (NIST SP 800-38D §8.3)."""
SHORTEST_PASSPHRASE = 16


@dataclass(frozen=True)
class Key:
    """``id`` tells which key it is, and nothing of the key."""

    id: str
    secret: bytes = field(repr=False)


def key_of(secret: str) -> Key:
    """32 bytes in base64 (``openssl rand -base64 32``) as they are; any other text is a passphrase.

    Raises:
        FerryError: ``config.invalid`` for a passphrase that is too short.
    """
    raw = _thirty_two_bytes(secret)
    if raw is None:
        if len(secret) < SHORTEST_PASSPHRASE:
            told = f"a payload key is 32 bytes in base64, or a passphrase of at least {SHORTEST_PASSPHRASE} characters"
            raise FerryError("config.invalid", told)
        # The salt is fixed: all workers and clients must come to the same key from the same words.
        raw = hashlib.scrypt(
            secret.encode(), salt=b"ferry payload key 1", n=1 << 15, r=8, p=1, maxmem=64 << 20, dklen=32
        )
    return Key(hashlib.sha256(b"ferry payload key id 1" + raw).hexdigest()[:12], raw)


def _thirty_two_bytes(secret: str) -> bytes | None:
    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == 32 else None


class SealingCodec(PayloadCodec):
    """The first key encrypts, each decrypts. Without keys nothing is encrypted, and what is so is told by its code."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._first = keys[0] if keys else None
        self._known = {key.id: key for key in keys}

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The first one encrypts."""
        return tuple(self._known)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Pack what is large, and seal each; one that is sealed stays as it is."""
        first = self._first
        ready = [each if _sealed(each) else packed(each) for each in payloads]
        return ready if first is None else [each if _sealed(each) else _seal(first, each) for each in ready]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open each that is sealed or packed.

        Raises:
            FerryError: ``temporal.payload_key_missing``, naming the key's id; ``temporal.payload_damaged``.
        """
        return [unpacked(self._open(each) if _sealed(each) else each) for each in payloads]

    def _open(self, sealed: Payload) -> Payload:
        name = sealed.metadata.get(KEY_ID, b"").decode(errors="replace")
        key = self._known.get(name)
        if key is None:
            has = f"the keys here have the ids {', '.join(self._known)}" if self._known else "no key is named here"
            raise FerryError(
                "temporal.payload_key_missing", f"encrypted with the key {name or 'of another program'}; {has}"
            )
        nonce, body = sealed.data[:NONCE], sealed.data[NONCE:]
        try:
            return Payload.FromString(AESGCM(key.secret).decrypt(nonce, body, _bound(key)))
        except (InvalidTag, ValueError):
            raise FerryError(
                "temporal.payload_damaged", f"a payload of the key {name} does not open: it was altered"
            ) from None


def _sealed(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == ENCODING


def _seal(key: Key, payload: Payload) -> Payload:
    nonce = os.urandom(NONCE)
    body = AESGCM(key.secret).encrypt(nonce, payload.SerializeToString(), _bound(key))
    metadata = {"encoding": ENCODING, CIPHER: CIPHER_NAME, KEY_ID: key.id.encode()}
    return Payload(metadata=metadata, data=nonce + body)


def _bound(key: Key) -> bytes:
    """Authenticated with it: what is sealed says that it is ours, and by which key."""
    return b"ferry payload 1 " + key.id.encode()
