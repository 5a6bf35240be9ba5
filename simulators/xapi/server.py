"""The doors: one TLS listener a host. RPC by POST, disks by PUT and GET, the lab's own door under ``/lab/``."""

import dataclasses
import http.server
import json
import logging
import os
import socket
import ssl
import struct
import threading
import xmlrpc.client
from dataclasses import asdict
from http import HTTPStatus
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from simulators.authority import Authority
from simulators.clock import Clock
from simulators.faults import FaultRule, Faults
from simulators.inventory import Xcpng
from simulators.outages import Gate, Gated, Outage
from simulators.xapi import (  # noqa: F401  they register their messages
    checksum,
    class_network,
    class_session,
    class_vdi,
    class_vm,
    consoles,
    moving,
)
from simulators.xapi.database import Database
from simulators.xapi.failure import AnswerLost, XapiFailure
from simulators.xapi.left import lying_about
from simulators.xapi.nbd import NbdServer
from simulators.xapi.pool import Pool, Stats
from simulators.xapi.signatures import may, to_wire
from simulators.xapi.transfers import detach, run_export, run_import

log = logging.getLogger(__name__)
MOST_HEADERS = 1024
MOST_BODY = 300 << 10


class _Doors(Gated):
    protocol_version = "HTTP/1.1"
    server: "_Listener"
    raw_requestline: bytes

    def setup(self) -> None:
        self.request.settimeout(60)
        self.request.do_handshake()
        self.request.settimeout(None)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    # -- RPC

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > MOST_BODY:
            return self._plain(413, b"")
        body = self.rfile.read(length)
        if self.path.startswith("/lab/"):
            return self._lab("POST", json.loads(body or b"{}"))
        path = urlsplit(self.path).path
        if path in ("/", "/RPC2"):
            return self._xml_rpc(body)
        if path == "/jsonrpc":
            return self._json_rpc(body)
        return self._plain(404, b"")

    def _xml_rpc(self, body: bytes) -> None:
        try:
            params, method = xmlrpc.client.loads(body, use_builtin_types=True)
        except Exception:
            return self._plain(500, b"")
        try:
            answer = self.server.pool.call(self.server.host, method or "", list(params))
            value: dict[str, Any] = {"Status": "Success", "Value": to_wire(answer, native=False)}
        except AnswerLost:
            self.close_connection = True
            return None
        except XapiFailure as failure:
            value = {"Status": "Failure", "ErrorDescription": failure.description}
        text = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=False).encode()
        self._plain(200, text, "text/xml")

    def _json_rpc(self, body: bytes) -> None:
        call = json.loads(body)
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": call.get("id")}
        try:
            answer = self.server.pool.call(self.server.host, call["method"], list(call.get("params", [])))
            reply["result"] = to_wire(answer, native=True)
        except AnswerLost:
            self.close_connection = True
            return None
        except XapiFailure as failure:
            reply["error"] = {"code": 1, "message": failure.description[0], "data": failure.description[1:]}
        self._plain(200, json.dumps(reply).encode(), "application/json")

    # -- disks

    def do_PUT(self) -> None:
        self.close_connection = True
        if urlsplit(self.path).path != "/import_raw_vdi":
            return self._plain(404, b"")
        found = self._transfer("PUT /import_raw_vdi")
        if found is None:
            return None
        vdi, task, form, rule = found
        chunked = "chunked" in self._said()
        refused = chunked and (form != "raw" or not self.server.pool.inventory.takes_chunked)
        if "Transfer-Encoding" in self.headers or form not in ("raw", "vhd") or refused:
            self.server.pool.tasks.fail(task, ["INTERNAL_ERROR", "Cannot handle encoding"])
            return self._plain(404, b"")
        self._head(task)
        length = self.headers.get("Content-Length")
        well = run_import(
            self.server.pool, self.server.host, vdi, task, self.rfile,
            form=form, chunked=chunked, length=int(length) if length else None, rule=rule,
        )  # fmt: skip
        if not well:
            self._late_failure()
        return None

    def do_GET(self) -> None:
        if self.path.startswith("/lab/"):
            return self._lab("GET", {})
        if urlsplit(self.path).path != "/export_raw_vdi":
            return self._plain(404, b"")
        self.close_connection = True
        said = self._said()
        found = self._transfer(f"GET /export_raw_vdi{'?base' if 'base' in said else ''}")
        if found is None:
            return None
        vdi, task, form, rule = found
        pool, host, base = self.server.pool, self.server.host, ""
        if "base" in said:
            try:
                base = pool.db.resolve("VDI", said["base"])
            except XapiFailure as failure:
                pool.tasks.fail(task, failure.description)
                return self._plain(400, b"")
        if form not in ("raw", "vhd") or (base and form != "vhd"):
            self.server.pool.tasks.fail(task, ["INTERNAL_ERROR", "not in this simulator"])
            return self._plain(404, b"")
        self._head(task)
        if not run_export(pool, host, vdi, task, self._send, form=form, base=base, rule=rule):
            self._late_failure()
        return None

    def do_DELETE(self) -> None:
        self._lab("DELETE", {})

    def do_CONNECT(self) -> None:
        self.close_connection = True
        if urlsplit(self.path).path != "/console":
            return self._plain(404, b"")
        pool = self.server.pool
        status, ref = consoles.admitted(pool, self.server.host, self._said())
        if status != 200:
            return self._plain(status, b"")
        vm = pool.db.get("console", ref)["VM"]
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCache-Control: no-cache, no-store\r\n\r\n")
            consoles.serve(pool, ref, self.rfile.read, self._send)
        except (OSError, struct.error):
            pass
        finally:
            consoles.leave(pool, vm)
        return None

    def _said(self) -> dict[str, str]:
        """Query items and cookies: `session_id` and `task_id` prefer the cookie, the others the query."""
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        query.update({each: "" for each in urlsplit(self.path).query.split("&") if each and "=" not in each})
        cookies = {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()}
        said = {**cookies, **query}
        for name in ("session_id", "task_id", "subtask_of"):
            if name in cookies:
                said[name] = cookies[name]
        return said

    def _transfer(self, door: str) -> tuple[str, str, str, FaultRule | None] | None:
        """Who, what and whether here: everything that is answered before a byte of the body is read."""
        pool, said = self.server.pool, self._said()
        block = len(self.raw_requestline) + sum(len(name) + len(value) + 4 for name, value in self.headers.items())
        if block > MOST_HEADERS:
            self._plain(431, b"")
            return None
        task = said.get("task_id", "")
        known = bool(task) and pool.db.has("task", task)
        try:
            pool.sessions.check(said.get("session_id", ""))
        except XapiFailure:
            if known:
                pool.tasks.fail(task, ["SESSION_AUTHENTICATION_FAILED", "", ""])
            self._plain(401, b"")
            return None
        if not may(pool.inventory.role, "VM_ADMIN"):
            if known:
                pool.tasks.fail(task, ["RBAC_PERMISSION_DENIED", door, ""])
            self._plain(403, b"")
            return None
        try:
            vdi = pool.db.resolve("VDI", said.get("vdi", ""))
        except XapiFailure:
            self._plain(400, b"")
            return None
        record = pool.db.get("VDI", vdi)
        rule = pool.faults.strike(door, str(record["name_label"]))
        if rule is not None and rule.action == "http":
            self._plain(int(rule.argument), b"")
            return None
        if not pool.sees(self.server.host, record["SR"]):
            for host in pool.hosts:
                if pool.sees(host, record["SR"]):
                    address = self.server.addresses[host]
                    self._plain(302, b"", location=f"https://{address}{self.path}")
                    return None
            self._plain(404, b"")
            return None
        if not known:
            task = pool.tasks.create(door, "", said.get("session_id", ""))
        return vdi, task, said.get("format", "raw").lower(), rule

    def _head(self, task: str) -> None:
        """The 200 that comes before anything is done, and means nothing."""
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncache-control: no-cache, no-store\r\n"
            b"content-type: application/octet-stream\r\ntask-id: " + task.encode() + b"\r\n\r\n"
        )
        self.wfile.flush()

    def _send(self, piece: bytes | memoryview) -> None:
        self.wfile.write(piece)

    def _late_failure(self) -> None:
        """A second response on the same connection, as the real one sends it."""
        try:
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            self.wfile.write(b"HTTP/1.1 500 Internal Server Error\r\n\r\n<html><body>VDI_IO_ERROR</body></html>")
        except OSError:
            pass
        self._reset()

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _plain(self, status: int, body: bytes, kind: str = "text/html", location: str = "") -> None:
        self.send_response(HTTPStatus(status))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        if status >= 300:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    # -- the lab's own door

    def _lab(self, verb: str, given: dict[str, Any]) -> None:
        pool, door = self.server.pool, urlsplit(self.path).path.removeprefix("/lab/")
        answer: Any = {}
        match verb, door:
            case "GET", "stats":
                answer = {
                    **asdict(pool.stats),
                    "calls": dict(pool.stats.calls),
                    "sessions": pool.sessions.open(),
                    "logins": pool.sessions.logins,
                    "refused": pool.sessions.refused,
                }
            case "GET", "state":
                answer = pool.state_file.view()
            case "GET", "power":
                answer = pool.power_log
            case "GET", "left":
                answer = lying_about(pool)
            case "GET", "faults":
                answer = pool.faults.listed()
            case "POST", "faults":
                answer = dataclasses.asdict(pool.faults.add(FaultRule(**given)))
            case "DELETE", "faults":
                pool.faults.clear()
            case "GET", "outages":
                answer = self.server.gate.listed()
            case "POST", "outages":
                answer = dataclasses.asdict(self.server.gate.begin(Outage(**given)))
            case "DELETE", "outages":
                self.server.gate.clear()
            case "POST", "sr":  # somebody adds a disk to it
                pool.db.get("SR", pool.db.by_name("SR", given["name"])[0])["physical_size"] = int(given["size"])
            case "POST", "flip":
                self.server.simulator.flip(given["vdi"], int(given["offset"]))
            case "POST", "restart":
                self.server.simulator.restart(**given)
            case _:
                return self._plain(404, b"")
        return self._plain(200, json.dumps(answer).encode(), "application/json")


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], pool: Pool, host: str, context: ssl.SSLContext, simulator: "XapiSimulator"
    ) -> None:
        super().__init__(address, _Doors)
        self.pool, self.host, self.simulator = pool, host, simulator
        self.addresses: dict[str, str] = {}
        self._context, self.gate = context, simulator.gate

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.gate.meet(connection)
        # An answer is two small writes: without this, the second waits 40 ms for the client's delayed ACK.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wrapped = self.gate.context(self._context).wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("connection from %s ended", client_address, exc_info=True)


class XapiSimulator:
    """A pool of XCP-ng hosts on loopback, each with its own certificate."""

    def __init__(
        self, inventory: Xcpng, folder: Path, authority: Authority, *, host: str = "127.0.0.1", port: int = 0,
        clock: Clock | None = None, faults: Faults | None = None, password: str,
    ) -> None:  # fmt: skip
        self.faults = faults or Faults()
        self.pool = Pool(inventory, folder, clock or Clock(), self.faults, password)
        self._listeners: list[_Listener] = []
        self.gate = Gate(authority, host)
        self.gate.events = {"sessions": self._log_all_out, "tasks": self.pool.tasks.lose, "restart": self._restart,
                            "master": self._change_master}  # fmt: skip
        self._nbd: list[NbdServer] = []
        for number, ref in enumerate(self.pool.hosts):
            name = host if number == 0 else f"127.0.0.{10 + number}"
            context = authority.server_context(name)
            self._listeners.append(_Listener((name, port if number == 0 else 0), self.pool, ref, context, self))
            nbd = NbdServer(self.pool, ref, name, context)
            self._nbd.append(nbd)
            self.pool.nbd_doors[ref] = (nbd.port, (authority.folder / f"{name}.pem").read_text(), name)
            self.pool.db.get("host", ref)["address"] = self._address(number)
        addresses = {listener.host: self._address(number) for number, listener in enumerate(self._listeners)}
        for listener in self._listeners:
            listener.addresses = addresses

    def _address(self, number: int) -> str:
        """HOST:PORT. A real pool's address has no port, as all listen on 443: a lab cannot."""
        name, port = self._listeners[number].server_address[:2]
        return f"{name!s}:{port}"

    @property
    def url(self) -> str:
        """Of the coordinator."""
        return f"https://{self._address(0)}"

    @property
    def urls(self) -> list[str]:
        """Of all hosts, the coordinator first."""
        return [f"https://{self._address(number)}" for number in range(len(self._listeners))]

    @property
    def db(self) -> Database:
        """All records."""
        return self.pool.db

    @property
    def stats(self) -> Stats:
        """What was counted."""
        return self.pool.stats

    def start(self) -> None:
        """Serve."""
        for listener in self._listeners:
            threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        for each in self._nbd:
            each.start()

    def stop(self) -> None:
        """Serve no more."""
        for listener in self._listeners:
            listener.shutdown()
            listener.server_close()
        for each in self._nbd:
            each.stop()

    def flip(self, vdi: str, offset: int) -> None:
        """Change one bit of a VDI's file behind everybody's back."""
        file = self.pool.vdi_file(self.pool.db.resolve("VDI", vdi))
        descriptor = os.open(file, os.O_RDWR)
        try:
            byte = os.pread(descriptor, 1, offset)
            os.pwrite(descriptor, bytes([byte[0] ^ 1]), offset)
        finally:
            os.close(descriptor)

    def _log_all_out(self, _: Any) -> bool:
        return self.pool.sessions.end_all() > 0

    def _restart(self, leave_vbds: Any) -> bool:
        self.restart(leave_vbds=bool(leave_vbds))
        return True

    def _change_master(self, _: Any) -> bool:
        """Another host becomes the coordinator; toolstacks restart for it, so tasks and sessions go (xapi.md §3.11)."""
        pool = self.pool
        if len(pool.hosts) < 2:
            return False
        pool.hosts.append(pool.hosts.pop(0))
        for record in pool.db.all("pool").values():
            record["master"] = pool.hosts[0]
        self.restart()
        return True

    def restart(self, *, keep_sessions: bool = False, leave_vbds: bool = False) -> None:
        """The toolstack restarts: pending tasks are cancelled, sessions mostly lost, dom0 VBDs perhaps left."""
        pool = self.pool
        pool.tasks.cancel_pending()
        if not keep_sessions:
            pool.sessions.end_all()
        if not leave_vbds:
            for ref, vbd in pool.db.all("VBD").items():
                if pool.db.get("VM", vbd["VM"])["is_control_domain"]:
                    detach(pool, ref)
