"""Two workers on two machines share nothing but a bucket: the second goes on where the first was killed."""

import signal

from contracts.record import RECORD_PLACE
from tests.conformance.s3_server import running_s3
from tests.end_to_end.running import programs
from tests.end_to_end.test_storages import disk, inventory  # noqa: F401
from tests.end_to_end.watched import Watched


def test_a_worker_on_another_machine_goes_on_with_the_journal_in_the_bucket(disk, dev_server):  # noqa: F811
    with running_s3(disk / "s3") as server, programs(disk, dev_server.address) as running:
        running.lab(inventory(disk, {"web01": "nfs1"}, writes=0))
        _move_the_store(running.config, server.config())
        killed = running.worker()
        migration = Watched(running)
        migration.say("start", "web01", "--delta-interval", "1h", "--segment-bytes", "2MiB", "--bandwidth", "6MiB")
        running.until(lambda: _lines(server, b'"done"') >= 2, "worker")
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        done = _lines(server, b'"done"')
        running.worker()
        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        migration.say("approve", "web01", "--yes")

        report = migration.done()

        assert done >= 2
        assert report["bytes_sent_again"] <= 2 << 20, "at most the open segment"
        assert not (running.state / "store").exists()


def _move_the_store(config, said):
    before, after = config.read_text().split("[store]")
    keys = {
        "bucket": said.bucket, "endpoint": said.endpoint, "region": said.region,
        "access_key": said.access_key, "secret_key": said.secret_key, "ca_file": said.ca_file,
    }  # fmt: skip
    rest = after.partition("\n[")[2]
    table = "\n".join(f'{key} = "{value}"' for key, value in keys.items())
    config.write_text(f"{before}[store.s3]\n{table}\n" + (f"\n[{rest}" if rest else ""))


def _lines(server, event: bytes) -> int:
    """Lines of a disk's journal with that event, in the newest object; not of the record, which lies beside it."""
    lines = sorted(each for each in server.bucket.glob("migrations/*/*/journal/*") if each.parts[-3] != RECORD_PLACE)
    return lines[-1].read_bytes().count(event) if lines else 0
