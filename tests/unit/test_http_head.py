"""The head of an HTTP answer: taken as it is written, refused in its own words, and never longer than it may be."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.http_head import MOST, read_head

names = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ-", min_size=1, max_size=20)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


def reader(data):
    return io.BufferedReader(io.BytesIO(data))


@given(st.integers(100, 999), st.lists(st.tuples(names, values), max_size=20), st.sampled_from(["\r\n", "\n"]),
       st.binary(max_size=50))  # fmt: skip
def test_status_headers_and_the_first_byte_of_the_body(status, headers, end, body):
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers)]
    answer = reader((end.join(lines) + end + end).encode() + body)

    assert read_head(answer) == (status, {name.lower(): value for name, value in headers})
    assert answer.read() == body


@given(st.lists(st.tuples(names, values), max_size=5), st.data())
def test_a_head_that_ends_early_is_no_head(headers, data):
    whole = "\r\n".join(["HTTP/1.1 206 Partial", *(f"{name}: {value}" for name, value in headers), "", ""]).encode()
    cut = data.draw(st.integers(0, len(whole) - 2))  # without its last line

    with pytest.raises((OSError, ValueError)):
        read_head(reader(whole[:cut]))


@given(st.binary(max_size=2000))
def test_any_bytes_at_all_are_a_head_or_refused(junk):
    try:
        status, _ = read_head(reader(junk))
    except (OSError, ValueError):
        return
    assert 0 <= status <= 999


@pytest.mark.parametrize("junk", [b"x", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n", b"HTTP/1.1 200 OK\r\na: "])
def test_a_head_without_an_end_is_given_up_after_so_many_bytes(junk):
    endless = reader(junk * (4 * MOST // len(junk)))
    with pytest.raises((OSError, ValueError)):
        read_head(endless)
    assert endless.tell() <= MOST + len(junk)
