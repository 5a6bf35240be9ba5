"""The receiver of the pool's simulator does what the real one was measured to do: a test a row."""

import contextlib
import random
import socket
import ssl
import struct
import time

import pytest

from tests.conformance.xapi_lab import connection, logged_in, make_vdi, running_pool

MIB = 1 << 20
SIZE = 8 * MIB
HEAD = struct.Struct("<QI")
END = bytes(12)


class Put:
    """A chunked import, spoken byte by byte."""

    def __init__(self, simulator, folder, session, vdi, query=""):
        self.session = session
        self.task = session.xenapi.task.create("segment", "")
        self.connection = connection(simulator, folder)
        self.connection.putrequest(
            "PUT", f"/import_raw_vdi?vdi={vdi}&format=raw&chunked{query}", skip_accept_encoding=True
        )
        self.connection.putheader("Cookie", f"session_id={session._session}; task_id={self.task}")
        self.connection.endheaders()
        self.socket = self.connection.sock
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        self.status = int(head.split()[1])

    def record(self, offset, data):
        self.socket.sendall(HEAD.pack(offset, len(data)) + data)

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        """An end of file, as a client that goes in order leaves."""
        raw = self.socket
        assert isinstance(raw, ssl.SSLSocket)
        with contextlib.suppress(OSError):
            raw.unwrap()
        raw.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.socket.close()

    def outcome(self):
        for _ in range(200):
            status = self.session.xenapi.task.get_status(self.task)
            if status != "pending":
                return status
            time.sleep(0.02)
        return "pending"


@pytest.fixture
def pool(tmp_path):
    with running_pool(tmp_path) as simulator:
        yield simulator


@pytest.fixture
def session(pool, tmp_path):
    return logged_in(pool, tmp_path)


@pytest.fixture
def vdi(session):
    return make_vdi(session, SIZE)


@pytest.fixture
def content(pool, vdi):
    return lambda: pool.pool.vdi_file(vdi).read_bytes()


@pytest.fixture
def put(pool, tmp_path, session, vdi):
    return Put(pool, tmp_path, session, vdi)


def test_the_200_comes_before_any_byte_of_the_body(put):
    assert put.status == 200


def test_random_order_gaps_and_rewrites_are_written_where_they_belong(put, content):
    chance = random.Random(5)
    expected = bytearray(SIZE)
    for _ in range(40):
        length = 512 * chance.randrange(1, 3000)
        offset = 512 * chance.randrange((SIZE - length) // 512)
        data = chance.randbytes(length)
        expected[offset : offset + length] = data
        put.record(offset, data)

    put.send(END)

    assert put.outcome() == "success"
    assert content() == bytes(expected)


def test_the_terminator_ends_the_stream_with_the_socket_open_and_later_bytes_are_ignored(put, content):
    put.record(4096, b"a" * 4096)
    put.send(END + HEAD.pack(0, 4096) + b"b" * 4096)

    assert put.outcome() == "success"
    assert content()[:4096] == bytes(4096)


def test_without_a_terminator_all_is_written_and_it_fails(put, content):
    put.record(0, b"a" * 4096)
    put.close()

    assert put.outcome() == "failure"
    assert content()[:4096] == b"a" * 4096


def test_an_unaligned_length_writes_the_whole_pieces_before_it_and_fails(put, content):
    put.record(0, b"a" * (2 * MIB + 100))

    assert put.outcome() == "failure"
    assert content()[: 2 * MIB] == b"a" * (2 * MIB)
    assert content()[2 * MIB : 2 * MIB + 512] == bytes(512)


def test_a_length_of_two_gibibytes_fails(put):
    put.send(HEAD.pack(0, 1 << 31))

    assert put.outcome() == "failure"


def test_past_the_end_the_part_inside_is_written_and_it_fails_and_the_file_does_not_grow(put, content):
    put.record(SIZE - 4096, b"a" * 8192)

    assert put.outcome() == "failure"
    assert content()[-4096:] == b"a" * 4096
    assert len(content()) == SIZE


def test_an_end_inside_a_payload_writes_the_whole_piece_with_a_stale_tail(put, content):
    put.record(0, b"a" * (2 * MIB))
    put.send(HEAD.pack(4 * MIB, 2 * MIB) + b"b" * MIB)
    put.close()

    assert put.outcome() == "failure"
    assert content()[4 * MIB : 6 * MIB] == b"b" * MIB + b"a" * MIB


def test_an_end_between_pieces_writes_no_more(put, content):
    put.send(HEAD.pack(0, 4 * MIB) + b"a" * (2 * MIB))
    put.close()

    assert put.outcome() == "failure"
    assert content()[2 * MIB : 4 * MIB] == bytes(2 * MIB)


def test_a_reset_inside_a_piece_does_not_write_it(put, content):
    put.send(HEAD.pack(0, 2 * MIB) + b"a" * MIB)
    time.sleep(0.2)
    put.reset()

    assert put.outcome() == "failure"
    assert content()[:MIB] == bytes(MIB)


def test_a_cut_first_header_ends_in_a_false_success_with_nothing_written(put, content):
    put.send(HEAD.pack(0, 4096)[:8])
    put.close()

    assert put.outcome() == "success"
    assert content() == bytes(SIZE)


def test_length_zero_at_another_offset_does_nothing(put, content):
    put.record(4096, b"")
    put.record(0, b"a" * 512)
    put.send(END)

    assert put.outcome() == "success"
    assert content()[:512] == b"a" * 512


def test_two_senders_of_disjoint_ranges_at_once_are_both_exact(pool, tmp_path, session, vdi, content):
    one, other = Put(pool, tmp_path, session, vdi), Put(pool, tmp_path, session, vdi)
    for at in range(0, 4 * MIB, MIB):
        one.record(at, b"1" * MIB)
        other.record(4 * MIB + at, b"2" * MIB)
    one.send(END)
    other.send(END)

    assert {one.outcome(), other.outcome()} == {"success"}
    assert content() == b"1" * (4 * MIB) + b"2" * (4 * MIB)


def test_explicit_zeros_overwrite_data(put, content, pool, tmp_path, session, vdi):
    put.record(0, b"a" * MIB)
    put.send(END)
    assert put.outcome() == "success"

    second = Put(pool, tmp_path, session, vdi)
    second.record(0, bytes(MIB))
    second.send(END)

    assert second.outcome() == "success"
    assert content() == bytes(SIZE)


def test_during_a_put_a_dom0_vbd_holds_the_vdi_and_afterwards_none_does(put, session, vdi):
    put.record(0, b"a" * 4096)
    time.sleep(0.1)
    during = session.xenapi.VDI.get_VBDs(vdi)
    put.send(END)

    assert put.outcome() == "success"
    assert len(during) == 1
    assert session.xenapi.VDI.get_VBDs(vdi) == []


def test_a_4k_device_refuses_what_is_aligned_to_512_only(tmp_path):
    with running_pool(tmp_path, srs=[{"name": "fourk", "block_size": 4096}]) as simulator:
        session = logged_in(simulator, tmp_path)
        put = Put(simulator, tmp_path, session, make_vdi(session, SIZE))
        put.record(512, b"a" * 512)

        assert put.outcome() == "failure"


def test_a_body_in_http_chunks_is_refused(pool, tmp_path, session, vdi):
    door = connection(pool, tmp_path)
    door.request(
        "PUT", f"/import_raw_vdi?vdi={vdi}&format=raw&chunked", headers={"Cookie": f"session_id={session._session}",
        "Transfer-Encoding": "chunked"},
    )  # fmt: skip

    assert door.getresponse().status == 404


def test_headers_over_1024_bytes_are_refused(pool, tmp_path, session, vdi):
    door = connection(pool, tmp_path)
    door.request("PUT", f"/import_raw_vdi?vdi={vdi}&chunked", headers={"User-Agent": "x" * 1100})

    assert door.getresponse().status == 431


def test_without_a_session_nobody_writes(pool, tmp_path, vdi):
    door = connection(pool, tmp_path)
    door.request("PUT", f"/import_raw_vdi?vdi={vdi}&chunked")

    assert door.getresponse().status == 401


def test_a_host_that_does_not_see_the_sr_sends_the_client_on(tmp_path):
    inventory = {
        "hosts": [{"name": "one", "srs": []}, {"name": "two"}], "srs": [{"name": "local"}],
    }  # fmt: skip
    with running_pool(tmp_path, **inventory) as simulator:
        session = logged_in(simulator, tmp_path)
        vdi = make_vdi(session, SIZE)
        door = connection(simulator, tmp_path)
        door.request("PUT", f"/import_raw_vdi?vdi={vdi}&chunked", headers={"Cookie": f"session_id={session._session}"})
        answer = door.getresponse()

        assert answer.status == 302
        assert answer.headers["Location"].startswith(simulator.urls[1])


def test_plain_raw_ends_in_success_with_a_stale_tail(pool, tmp_path, session, vdi, content):
    task = session.xenapi.task.create("plain", "")
    door = connection(pool, tmp_path)
    door.putrequest("PUT", f"/import_raw_vdi?vdi={vdi}&format=raw")
    door.putheader("Cookie", f"session_id={session._session}; task_id={task}")
    door.putheader("Content-Length", str(4 * MIB))
    door.endheaders()
    door.sock.recv(4096)
    door.sock.sendall(b"a" * (3 * MIB))
    with contextlib.suppress(OSError):
        door.sock.unwrap()  # an orderly end of the stream; the server answers it with a bare close

    deadline = time.monotonic() + 10
    while session.xenapi.task.get_status(task) == "pending" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert session.xenapi.task.get_status(task) == "success"
    assert content()[3 * MIB : 4 * MIB] == b"a" * MIB
