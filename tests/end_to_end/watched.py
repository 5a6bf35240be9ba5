"""A migration of web01 by the real programs, and what `ferry` says of it."""

import json
from pathlib import Path

from tests.crash.judging import both_on, equal

MIB = 1 << 20


class Watched:
    """Started, asked about, and judged at its end."""

    def __init__(self, running):
        self.running = running

    def start(self):
        self.say("start", "web01", "--delta-interval", "1h", "--segment-bytes", "8MiB")

    def say(self, *words):
        ended = self.running.ferry(*words)
        assert ended.returncode == 0, ended.stderr

    def shown(self):
        """Nothing while nobody answers."""
        ended = self.running.ferry("status", "web01", "-o", "json")
        return json.loads(ended.stdout) if ended.stdout.strip() else {}

    def until(self, wanted, seconds=90):
        self.running.until(lambda: wanted(self.shown()), "worker", seconds)

    def until_bytes_flow(self, mib=3):
        before = self.running.xapi("stats")["bytes_written"]
        self.running.until(lambda: self.running.xapi("stats")["bytes_written"] > before + mib * MIB, "worker", 60)

    def done(self):
        """The report of its good end, and the judge's word."""
        self.until(lambda seen: (seen.get("report") or {}).get("outcome"))
        report = self.shown()["report"]
        assert report["outcome"] == "done", report
        assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
        source = self.running.vcenter("state")["web01"]
        assert (source["power"], source["snapshots"]) == ("poweredOff", [])
        [disk] = self.running.pool()["web01"]["disks"]
        assert equal(self.running.state / "vsphere/nfs1/web01/web01-flat.vmdk", Path(disk["snapshot_file"]))
        assert not both_on(source["power_log"], self.running.xapi("power"))
        assert self.running.xapi("left") == {"tasks": [], "dom0_vbds": [], "loose_vdis": [], "loose_snapshots": []}
        return report
