"""Disk bytes over HTTP: ranges of files at ``/folder``, streams of a lease at ``/nfc``."""

import base64
import re

from simulators.faults import FaultRule
from simulators.vsphere import folder as files
from simulators.vsphere import nfc
from simulators.vsphere.door import ENDS, Door

PIECE = 1 << 20


class FileDoors(Door):
    """`/folder` takes a cookie or a password; `/nfc` asks for nothing, its URL is the secret."""

    def serve_folder(self, *, with_body: bool) -> None:
        """A file, or the range of it that was asked for."""
        lab = self.lab
        if not self._known():
            return self.plain(401, extra={"WWW-Authenticate": 'Basic realm="VMware HTTP server"'})
        if {"Datastore.Browse", "Datastore.FileManagement"} & set(lab.said.privileges_missing):
            return self.plain(404)
        try:
            file = files.find(lab.world, self.path)
        except files.NotServed as refused:
            return self.plain(refused.status)
        size = file.size if file.disk is not None else len(file.text)
        rule = lab.faults.strike("GET /folder", file.name)
        if rule is not None and rule.action == "http":
            return self.plain(int(rule.argument))
        start, end, status = 0, size, 200
        asked = self.headers.get("Range")
        if asked is not None and not (rule is not None and rule.action == "no-range"):
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.strip())
            if match is None:
                return self.plain(400)
            start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
            if start >= size or end <= start:
                return self.plain(416, extra={"Content-Range": f"bytes */{size}"})
            status = 206
            if rule is not None and rule.action == "wrong-range":
                start, end = start + int(rule.argument), end + int(rule.argument)
        told = size + int(rule.argument) if rule is not None and rule.action == "wrong-size" else size
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{told}")
        self.end_headers()
        if with_body:
            self._send(file, start, end, rule)
        return None

    def _send(self, file: files.File, start: int, end: int, rule: FaultRule | None) -> None:
        stats = self.lab.stats
        limit = None
        if rule is not None and rule.action in ENDS:
            limit = start + int(rule.argument or 0)
        stats.reading(+1)
        try:
            while start < end:
                length = min(PIECE, end - start)
                if limit is not None and start + length > limit:
                    self.wfile.write(file.read(start, max(0, limit - start)))
                    return self.end_early(rule)
                self.wfile.write(file.read(start, length))
                stats.bytes_served += length
                start += length
        finally:
            stats.reading(-1)
        return None

    def serve_nfc(self) -> None:
        """A disk of a lease, as a stream without a length, ended by hanging up: no cookie, no ranges."""
        lab = self.lab
        found = nfc.find(lab.world, self.path)
        rule = lab.faults.strike("GET /nfc", self.path.rpartition("/")[2])
        if rule is not None and rule.action == "http":
            return self.plain(int(rule.argument))
        if found is None:
            return self.plain(404)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-vnd.vmware-streamVmdk")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        limit = int(rule.argument or 0) if rule is not None and rule.action in ENDS else None
        lab.stats.reading(+1)
        try:
            for piece in found.pieces():
                if limit is not None and limit < len(piece):
                    self.wfile.write(piece[:limit])
                    return self.end_early(rule)
                limit = limit - len(piece) if limit is not None else None
                self.wfile.write(piece)
                lab.stats.bytes_served += len(piece)
        except nfc.LeaseEnded:
            return self.reset()
        finally:
            lab.stats.reading(-1)
        return None

    def _known(self) -> bool:
        if self.session() is not None:
            return True
        scheme, _, said = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, password = base64.b64decode(said).decode().partition(":")
        except ValueError:
            return False
        return self.lab.sessions.login(user, password) is not None  # each opens a session of its own, as hostd does
