"""An exported record: whatever is done to its bytes is found out, and the first line that does not hold is named."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.record import RecordState, appended, canonical, following, report_digest, sha256
from contracts.record_file import DEPTH_MOST, LINE_MOST, BrokenRecord, check, written

REPORT = {"outcome": "done", "vm": "wéb01", "bytes_sent": 7, "downtime_s": 12.5}


def a_record(entries=6, over=True):
    state = RecordState()
    said = {"migration": "0190", "workflow": "migrate/vc/web01", "source": "vc", "target": "pool", "vm": "wéb01"}
    state = appended(state, following(state, "begun", "2026-11-25T02:00:00+00:00", said))
    for number in range(entries - 2):
        state = appended(
            state, following(state, "pass", f"2026-11-25T03:{number:02}:00+00:00", {"bytes_sent": number, "s": 0.25})
        )
    if over:
        last = {"outcome": "done", "report_sha256": report_digest(REPORT)}
        state = appended(state, following(state, "ended", "2026-11-25T04:00:00+00:00", last))
    report = {**REPORT, "record_head": state.head, "record_entries": state.count} if over else None
    return state.pending, report


def lines(**more):
    return list(written(*a_record(**more)))


def checked(said):
    return check(io.BytesIO(b"".join(said)))


def test_what_was_exported_holds():
    found = checked(lines())

    assert (found.entries, found.outcome, found.bytes_sent) == (6, "done", 0 + 1 + 2 + 3)
    assert found.header["workflow"] == "migrate/vc/web01"
    assert checked(lines(over=False)).outcome == ""


@given(st.data())
def test_any_changed_byte_is_found_in_its_line_or_the_next(data):
    said = lines(over=data.draw(st.booleans()))
    number = data.draw(st.integers(0, len(said) - 1))
    at = data.draw(st.integers(0, len(said[number]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != said[number][at]))
    said[number] = said[number][:at] + bytes([byte]) + said[number][at + 1 :]

    with pytest.raises(BrokenRecord) as told:
        checked(said)
    assert told.value.line == number + 1


@given(st.data())
def test_a_line_that_is_gone_twice_there_or_elsewhere_is_named(data):
    said = lines()
    number = data.draw(st.integers(0, len(said) - 1))
    deed = data.draw(st.sampled_from(["removed", "twice", "swapped"]))
    if deed == "removed":
        del said[number]
        first = number
    elif deed == "twice":
        said.insert(number, said[number])
        first = number + 1
    else:
        other = data.draw(st.integers(0, len(said) - 1).filter(lambda other: other != number))
        said[number], said[other] = said[other], said[number]
        first = min(number, other)

    with pytest.raises(BrokenRecord) as told:
        checked(said)
    assert told.value.line == first + 1


@given(st.data())
def test_a_tail_that_was_cut_off_is_found(data):
    whole = b"".join(lines())
    size = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(BrokenRecord) as told:
        check(io.BytesIO(whole[:size]))
    assert told.value.line == whole[:size].count(b"\n") + 1


def test_an_entry_that_was_written_anew_with_its_digest_breaks_the_next_one():
    said = lines()
    entry = json.loads(said[3])["entry"]
    entry["said"]["bytes_sent"] = 1000
    entry["digest"] = sha256({key: value for key, value in entry.items() if key != "digest"})
    said[3] = canonical({"entry": entry}) + b"\n"

    with pytest.raises(BrokenRecord, match="line 5: entry 3 does not follow") as told:
        checked(said)
    assert told.value.line == 5


def test_a_report_of_another_end_is_found():
    said = lines()
    report = json.loads(said[-2])["report"] | {"bytes_sent": 8}
    said[-2] = canonical({"report": report}) + b"\n"

    with pytest.raises(BrokenRecord, match="line 8: the report is not the one"):
        checked(said)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 1),
        (b"\n", 1),
        (b"null\n", 1),
        (b'{"header":[]}\n', 1),
        (b"[" * 100_000 + b"\n", 1),
        (b'{"a":' * (DEPTH_MOST + 1) + b"1" + b"}" * (DEPTH_MOST + 1) + b"\n", 1),
        (b'{"header":NaN}\n', 1),
        (b'{"header":' + b"9" * 5000 + b"}\n", 1),
        (b"x" * (LINE_MOST + 10), 1),
        (b'{"header":{}}\n{"entry":{"seq":0}}\n', 2),
        (b'{"header":{}}\n{"entry":7}\n', 2),
        (b'{"header":{}}\n{"report":{}}\n', 2),
    ],
)
def test_bytes_from_anywhere_do_no_harm(content, line):
    with pytest.raises(BrokenRecord) as told:
        check(io.BytesIO(content))
    assert told.value.line == line


@given(st.binary(max_size=300))
def test_noise_is_refused_and_nothing_else_happens(noise):
    with pytest.raises(BrokenRecord):
        check(io.BytesIO(noise))
