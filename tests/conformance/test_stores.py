"""The promises of a store, in a folder and in a bucket of a real S3 server; and a migration whose store is a bucket."""

import http.server
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.config import S3Config
from contracts.errors import FerryError
from disks.folder_store import FolderStore
from disks.journal import Journal
from disks.manifest import BLOCK, Manifest, digest_of
from platforms.s3.bucket import Bucket
from platforms.s3.cells import SHARD
from platforms.s3.store import GROUP, S3Store
from simulators.authority import Authority
from tests.conformance.one_migration import MIB, one_migration
from tests.conformance.s3_server import running_s3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def open_store(request, tmp_path):
    """Opens the same store each time, as each worker does."""
    if request.param == "folder":
        return lambda: FolderStore(tmp_path / "store")
    server = request.getfixturevalue("server")
    return lambda: S3Store(Bucket(server.config(prefix=tmp_path.name)))


def shelf(store):
    return store.disk("0190-first-run", "2000-disk")


def test_all_workers_see_one_identity(open_store):
    with ThreadPoolExecutor(4) as workers:
        identities = {store.id for store in workers.map(lambda _: open_store(), range(4))}

    assert len(identities) == 1
    assert identities != {""}


def test_a_name_cannot_lead_out_of_the_store(open_store):
    for name in ("../up", ".", "", "a/b"):
        with pytest.raises(ValueError, match="no name of a folder"):
            open_store().disk("migration", name)


def test_a_journal_is_read_by_others_in_the_order_in_which_it_was_written(open_store):
    mine = shelf(open_store())
    for number in range(2 * GROUP + 5):
        mine.append(b"%d\n" % number)

    assert shelf(open_store()).journal() == b"".join(b"%d\n" % number for number in range(2 * GROUP + 5))


def test_lines_that_two_writers_append_at_once_are_all_kept(open_store):
    writers, meeting = [shelf(open_store()) for _ in range(3)], threading.Barrier(3)

    def write(which):
        meeting.wait()
        for number in range(40):
            writers[which].append(b"%d-%d\n" % (which, number))

    with ThreadPoolExecutor(3) as together:
        list(together.map(write, range(3)))

    lines = shelf(open_store()).journal().split()
    assert sorted(lines) == sorted(b"%d-%d" % (which, number) for which in range(3) for number in range(40))
    for which in range(3):
        own = [line for line in lines if line.startswith(b"%d-" % which)]
        assert own == [b"%d-%d" % (which, number) for number in range(40)]


def test_a_writer_reads_what_another_has_appended_since(open_store):
    one, other = shelf(open_store()), shelf(open_store())
    one.append(b"a\n")
    other.append(b"b\n")
    one.append(b"c\n")

    assert one.journal() == other.journal() == b"a\nb\nc\n"


def test_a_name_holds_what_was_written_last_and_nothing_before(open_store):
    mine = shelf(open_store())
    before = mine.read("plan-1.json")
    mine.write("plan-1.json", b"first")
    mine.write("plan-1.json", b"second")

    assert before is None
    assert shelf(open_store()).read("plan-1.json") == b"second"


def test_cells_are_zeros_where_nobody_wrote_and_last_beyond_the_one_who_wrote(open_store):
    size = 3 * SHARD + 64
    mine = shelf(open_store())
    made_before = mine.has_cells("manifest")
    cells = mine.cells("manifest", b"{}", size)
    cells.write([(32, b"a" * 32), (2 * SHARD - 32, b"b" * 32), (size - 32, b"c" * 32)])
    cells.close()

    again = shelf(open_store()).cells("manifest", b"another header", size)

    expected = bytearray(size)
    expected[32:64], expected[2 * SHARD - 32 : 2 * SHARD], expected[-32:] = b"a" * 32, b"b" * 32, b"c" * 32
    assert (made_before, mine.has_cells("manifest")) == (False, True)
    assert again.read(0, size) == bytes(expected)
    assert again.header.strip() == b"{}"
    again.close()


def test_of_two_who_write_cells_at_once_each_has_its_own_kept(open_store):
    one = shelf(open_store()).cells("manifest", b"{}", SHARD)
    other = shelf(open_store()).cells("manifest", b"{}", SHARD)
    one.read(0, 32)
    other.read(0, 32)  # both have seen it as it was

    one.write([(0, b"a" * 32)])
    other.write([(64, b"b" * 32)])

    found = shelf(open_store()).cells("manifest", b"{}", SHARD)
    assert found.read(0, 96) == b"a" * 32 + bytes(32) + b"b" * 32
    for each in (one, other, found):
        each.close()


def test_a_manifest_is_the_same_in_every_store(open_store, tmp_path):
    blocks = [(0, digest_of(b"x" * BLOCK)), (4097, digest_of(b"y" * BLOCK)), (5000, digest_of(b"z" * 512))]
    capacity = 5000 * BLOCK + 512
    reference = Manifest(FolderStore(tmp_path / "reference").disk("m", "d"), capacity)
    manifest = Manifest(shelf(open_store()), capacity)
    for each in (reference, manifest):
        each.put(blocks)

    assert list(manifest.not_zero()) == [0, 4097, 5000]
    assert manifest.root() == reference.root()
    reference.close()
    manifest.close()


def test_a_journal_with_lines_missing_is_told_and_not_guessed_at(server, tmp_path):
    store = S3Store(Bucket(server.config(prefix=tmp_path.name)))
    journal = Journal(shelf(store))
    for number in range(GROUP + 3):
        journal.append("attempt", token=str(number))
    last_of_group = f"{tmp_path.name}/migrations/0190-first-run/2000-disk/journal/{GROUP - 1:012d}"
    (server.bucket / last_of_group).unlink()

    with pytest.raises(FerryError) as told:
        Journal(shelf(S3Store(Bucket(server.config(prefix=tmp_path.name))))).lines()

    assert told.value.code == "store.damaged"


class HeedlessBucket(Bucket):
    """As a store does that knows no conditional writes: it puts, whatever is there."""

    def _on_condition(self, key, content, **condition):
        return self.put(key, content)


def test_a_store_that_writes_over_what_it_was_told_not_to_touch_is_refused(server, tmp_path):
    with pytest.raises(FerryError) as told:
        S3Store(HeedlessBucket(server.config(prefix=tmp_path.name)))

    assert told.value.code == "store.unconditional"


def test_wrong_keys_a_missing_bucket_and_a_strange_certificate_have_a_code_and_no_secret(server, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text('pa:"$ü%ss')
    for said in ({"secret_key": f"file:{wrong}"}, {"bucket": "nobodys"}, {"ca_file": None}):
        with pytest.raises(FerryError) as told:
            S3Store(Bucket(server.config(**said)))

        assert (told.value.code, told.value.remedy) == ("store.unwritable", "ask"), said
        assert "pa:" not in told.value.message


def test_a_store_that_does_not_answer_is_asked_again_later(tmp_path):
    with running_s3(tmp_path / "s3") as gone:
        store = S3Store(Bucket(gone.config()))
        gone.stop()

        with pytest.raises(FerryError) as told:
            shelf(store).append(b"line\n")
        assert (told.value.code, told.value.remedy) == ("store.unreachable", "retry")

        gone.start()
        shelf(store).append(b"line\n")
        assert shelf(store).journal() == b"line\n"


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    """A store that answers what it is told to: what no server that runs here can be brought to say."""
    asked, answers = [], []

    class Answering(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.command)
            status, body, length = answers.pop(0)
            self.send_response(status)
            self.send_header("ETag", '"e"')
            self.send_header("Content-Length", str(length or len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = length > len(body)

        do_GET = do_PUT = answer  # noqa: N815

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    context = Authority(tmp_path).server_context("127.0.0.1")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr("platforms.s3.bucket.PAUSE", 0.001)
    where = f"https://127.0.0.1:{server.server_address[1]}"
    yield Bucket(S3Config(bucket="b", endpoint=where, ca_file=tmp_path / "ca.pem")), asked, answers
    server.shutdown()
    server.server_close()


CONFLICT = (409, b"<Error><Code>ConditionalRequestConflict</Code></Error>", 0)
NO_KEY = (404, b"<Error><Code>NoSuchKey</Code></Error>", 0)


def test_a_line_that_is_just_being_written_is_asked_for_again_and_no_damage(scripted):
    bucket, asked, answers = scripted
    answers += [CONFLICT, NO_KEY, (200, b"", 0)]

    assert bucket.create("journal/0", b"line") == '"e"'
    assert asked == ["PUT", "GET", "PUT"]


def test_a_line_that_is_being_written_all_the_time_is_tried_again_later(scripted):
    bucket, _, answers = scripted
    answers += [CONFLICT, NO_KEY] * 20

    with pytest.raises(FerryError) as told:
        bucket.create("journal/0", b"line")

    assert told.value.code == "store.unreachable"


def test_an_object_that_is_cut_short_is_asked_for_again_later(scripted):
    bucket, _, answers = scripted
    answers += [(200, b"half", 100)] * 20

    with pytest.raises(FerryError) as told:
        bucket.get("manifest")

    assert told.value.code == "store.unreachable"


async def test_a_migration_whose_store_is_a_bucket_is_cut_goes_on_and_is_proven(server, tmp_path):
    store = S3Store(Bucket(server.config(prefix="fleet/one")))
    with one_migration(tmp_path, size_mib=24, store=store) as migration:
        migration.segment_bytes = 2 * MIB
        migration.guest.write(0, bytes(range(256)) * 4096 * 24)
        await migration.begin()
        cut = await migration.cut_sync()
        migration.guest.write(5 * MIB, b"changed-" * 512)
        rest = await migration.sync()
        await migration.power_off()
        await migration.sync(final=True)

        verdict = await migration.verdict()

    assert not cut.complete
    assert rest.complete
    assert (verdict.equal, verdict.target_is_sent, verdict.target_is_source) == (True, True, True)
    assert (server.bucket / "fleet/one/migrations/0190-first-run").is_dir()
