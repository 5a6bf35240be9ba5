"""Payloads are unreadable in Temporal, and readable with the key."""

import base64
import tracemalloc
import zlib

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ActivityError, ApplicationError, RetryState

from contracts.config import TemporalConfig
from contracts.errors import FerryError
from contracts.redaction import keep
from trust.converting import converter_of
from trust.sealing import SealingCodec, key_of

FIRST, SECOND = base64.b64encode(bytes(range(32))).decode(), ':"$ü% a long enough passphrase'
WORD = Payload(metadata={"encoding": b"json/plain"}, data=b'{"vm":"web01"}')


def codec(*secrets):
    return SealingCodec([key_of(each) for each in secrets])


async def test_what_is_sealed_shows_nothing_but_the_key_s_id():
    (sealed,) = await codec(FIRST).encode([WORD])

    assert b"web01" not in sealed.SerializeToString()
    assert dict(sealed.metadata) == {
        "encoding": b"binary/encrypted",
        "encryption-cipher": b"AES-256-GCM",
        "encryption-key-id": key_of(FIRST).id.encode(),
    }
    assert await codec(FIRST).decode([sealed]) == [WORD]


async def test_no_two_are_alike():
    one, other = await codec(FIRST).encode([WORD, WORD])

    assert one.data != other.data


async def test_after_a_rotation_the_new_key_encrypts_and_the_old_one_still_decrypts():
    old = await codec(FIRST).encode([WORD])
    rotated = codec(SECOND, FIRST)

    (new,) = await rotated.encode([WORD])

    assert new.metadata["encryption-key-id"] == key_of(SECOND).id.encode()
    assert await rotated.decode([*old, new]) == [WORD, WORD]


async def test_what_is_in_clear_is_understood():
    assert await codec(FIRST).decode([WORD]) == [WORD]
    assert await codec().encode([WORD]) == [WORD]


async def test_what_is_sealed_is_not_sealed_again():
    sealed = await codec(FIRST).encode([WORD])

    assert await codec(SECOND).encode(sealed) == sealed


@pytest.mark.parametrize("keys", [(), (SECOND,)])
async def test_without_the_key_a_code_names_its_id(keys):
    sealed = await codec(FIRST).encode([WORD])

    with pytest.raises(FerryError) as told:
        await codec(*keys).decode(sealed)

    assert told.value.code == "temporal.payload_key_missing"
    assert key_of(FIRST).id in told.value.message


async def test_what_was_altered_does_not_open():
    (sealed,) = await codec(FIRST).encode([WORD])
    for at in (0, 13, len(sealed.data) - 1):
        changed = bytearray(sealed.data)
        changed[at] ^= 1
        with pytest.raises(FerryError) as told:
            await codec(FIRST).decode([Payload(metadata=sealed.metadata, data=bytes(changed))])
        assert told.value.code == "temporal.payload_damaged"


def test_a_short_passphrase_is_refused_and_not_repeated():
    with pytest.raises(FerryError) as told:
        key_of("sesame")

    assert told.value.code == "config.invalid"
    assert "sesame" not in str(told.value)


def test_a_key_s_id_and_repr_tell_nothing_of_it():
    assert FIRST not in repr(key_of(FIRST))
    assert "secret" not in repr(key_of(FIRST))


@pytest.fixture
def sealing(monkeypatch):
    monkeypatch.setenv("A_PAYLOAD_KEY", FIRST)
    return converter_of(TemporalConfig(payload_key="env:A_PAYLOAD_KEY"))


def deep_failure():
    """An unforeseen error under one of ours, as an activity raises it; it repeats a password."""
    try:
        try:
            raise KeyError("password sesame-of-the-lab, VM web01")
        except KeyError as error:
            raise ApplicationError("web01 is gone", {"vm": "web01"}, type="vm.gone") from error
    except ApplicationError as error:
        return error


async def test_a_failure_s_words_traces_and_details_are_sealed(sealing):
    failure = Failure()
    await sealing.encode_failure(deep_failure(), failure)

    assert b"web01" not in failure.SerializeToString()
    assert (failure.message, failure.cause.message) == ("Encoded failure", "Encoded failure")
    assert failure.application_failure_info.type == "vm.gone"
    told = await sealing.decode_failure(failure)
    assert isinstance(told, ApplicationError)
    assert told.message == "web01 is gone"
    assert "web01" in str(told.__cause__)


async def test_a_failure_that_is_passed_on_is_sealed_again(sealing):
    """A workflow that fails by what its activity raised: the SDK hands the decoded failure on."""
    first = Failure()
    await sealing.encode_failure(deep_failure(), first)
    heard = await sealing.decode_failure(first)
    wrapped = ActivityError(
        "Activity task failed", scheduled_event_id=1, started_event_id=2, identity="", activity_type="x",
        activity_id="1", retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )  # fmt: skip
    wrapped.__cause__ = heard
    again = Failure()

    await sealing.encode_failure(wrapped, again)

    assert b"web01" not in again.SerializeToString()
    assert "web01" in str((await sealing.decode_failure(again)).__cause__)


async def test_without_a_key_a_failure_is_in_clear_and_still_without_secrets():
    keep("sesame-of-the-lab")
    failure = Failure()

    await converter_of(TemporalConfig()).encode_failure(deep_failure(), failure)

    assert failure.message == "web01 is gone"
    assert "[hidden]" in failure.cause.message
    assert b"sesame-of-the-lab" not in failure.SerializeToString()


LARGE = Payload(metadata={"encoding": b"json/plain"}, data=b'{"members":[' + b'"web01",' * 50_000 + b'"db01"]}')


@pytest.mark.parametrize("keys", [(), (FIRST,)])
async def test_what_is_large_is_packed_and_comes_out_as_it_was(keys):
    small, large = await codec(*keys).encode([WORD, LARGE])

    assert len(large.data) < len(LARGE.data) / 50
    assert large.metadata["encoding"] == (b"binary/encrypted" if keys else b"binary/zlib")
    assert (small == WORD) is not bool(keys)
    assert await codec(*keys).decode([small, large]) == [WORD, LARGE]
    assert await codec(*keys).decode([LARGE]) == [LARGE], "any client may send it as it is"
    again = await codec().encode(await codec().encode([LARGE]))
    assert await codec().decode(again) == [LARGE], "packed once"


async def test_what_does_not_unpack_is_told_and_a_bomb_fills_no_memory(monkeypatch):
    monkeypatch.setattr("trust.packing.MOST", 1 << 20)
    bomb = zlib.compress(bytes(64 << 20))
    short = (await codec().encode([LARGE]))[0].data[:-5]
    for data in (b"", b"nothing", short, bomb, zlib.compress(b"\xff" * 100)):
        tracemalloc.start()
        with pytest.raises(FerryError) as failed:
            await codec().decode([Payload(metadata={"encoding": b"binary/zlib"}, data=data)])
        assert failed.value.code == "temporal.payload_damaged"
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
        tracemalloc.stop()
