"""The doors: SOAP at ``/sdk``, files at ``/folder``, the lab's own under ``/lab/``; all over TLS."""

import base64
import contextlib
import http.server
import json
import logging
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyVmomi import VmomiSupport, vim, vmodl

from simulators.authority import Authority
from simulators.clock import Clock
from simulators.faults import FaultRule, Faults
from simulators.inventory import Vsphere
from simulators.outages import Gate, Gated, Outage
from simulators.vsphere import authorization, clusters, nfc, soap
from simulators.vsphere import folder as files
from simulators.vsphere.collector import Collector
from simulators.vsphere.methods import Methods
from simulators.vsphere.rest import Rest
from simulators.vsphere.sessions import Session, Sessions
from simulators.vsphere.tracking import ChangeTracking
from simulators.vsphere.world import World

log = logging.getLogger(__name__)
COOKIE = "vmware_soap_session"
PIECE = 1 << 20
_ENDS = ("drop", "truncate", "stall")
_OPEN_TO_ALL = {"RetrieveServiceContent", "Login", "CurrentTime", "Fetch"}


@dataclass
class Stats:
    """What was counted."""

    calls: Counter[str] = field(default_factory=Counter)
    bytes_served: int = 0
    reads_now: int = 0
    most_reads: int = 0
    lock: Any = field(default_factory=threading.Lock, repr=False)

    def reading(self, change: int) -> None:
        """A read of `/folder` begins or ends."""
        with self.lock:
            self.reads_now += change
            self.most_reads = max(self.most_reads, self.reads_now)


class _Doors(Gated):
    protocol_version = "HTTP/1.1"
    server: "_Listener"

    def setup(self) -> None:
        self.request.settimeout(60)
        self.request.do_handshake()
        self.request.settimeout(None)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    @property
    def lab(self) -> "VsphereSimulator":
        return self.server.simulator

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/lab/"):
            return self._lab("POST", json.loads(body or b"{}"))
        if self.path.startswith("/rest/"):
            return self._rest("POST", body)
        return self._soap(body)

    def do_DELETE(self) -> None:
        if self.path.startswith("/rest/"):
            return self._rest("DELETE", b"")
        return self._lab("DELETE", {})

    def do_GET(self) -> None:
        if self.path.startswith("/lab/"):
            self._lab("GET", {})
        elif self.path.startswith("/rest/"):
            self._rest("GET", b"")
        elif self.path.startswith("/folder/"):
            self._folder(with_body=True)
        elif self.path.startswith("/nfc/"):
            self._nfc()
        elif urlsplit(self.path).path == "/sdk/vimServiceVersions.xml":
            self._versions()
        else:
            self._plain(404)

    def do_HEAD(self) -> None:
        self._folder(with_body=False)

    def _rest(self, method: str, body: bytes) -> None:
        rule = self.lab.faults.strike("REST", urlsplit(self.path).path)
        if rule is not None and rule.action == "http":
            return self._plain(int(rule.argument))
        status, said = self.lab.rest.answer(method, self.path, dict(self.headers.items()), body)
        return self._plain(status, json.dumps(said).encode() if status == 200 else b"", "application/json")

    # -- SOAP

    def _versions(self) -> None:
        api = self.lab.world.about().apiVersion
        self._plain(
            200,
            '<?xml version="1.0" encoding="UTF-8" ?><namespaces version="1.0"><namespace><name>urn:vim25</name>'
            f"<version>{api}</version><priorVersions><version>6.5</version><version>6.0</version>"
            "</priorVersions></namespace></namespaces>".encode(),
            "text/xml",
        )

    def _session(self) -> Session | None:
        cookie = SimpleCookie(self.headers.get("Cookie", ""))
        if COOKIE in cookie:
            return self.lab.sessions.find(cookie[COOKIE].value.strip('"'))
        return None

    def _soap(self, body: bytes) -> None:
        version = soap.version_of(self.headers.get("SOAPAction", ""))
        try:
            method, said, this = soap.parse(body)
        except soap.BadRequest:
            return self._plain(400)
        self.lab.stats.calls[method] += 1
        extra: dict[str, str] = {}
        try:
            value, kind = self._carry_out(method, said, this, extra)
            text, status = soap.answer(method, value, kind, version), 200
        except vmodl.MethodFault as error:
            text, status = soap.fault(error, version), 500
        except NotImplementedError:
            text, status = soap.fault(soap.named_fault("MethodNotFound", method), version), 500
        except _Dropped:
            return self._reset()
        except Exception as error:
            log.exception("a bug of the simulator in %s", method)
            text, status = soap.fault(soap.named_fault("SystemError", repr(error)), version), 500
        self._plain(status, text, "text/xml; charset=utf-8", extra)
        return None

    def _carry_out(self, method: str, said: dict[str, Any], this: str, extra: dict[str, str]) -> tuple[Any, Any]:
        lab = self.lab
        self._strike(method, this)
        if method == "RetrieveServiceContent":
            return _service_content(lab.world), vim.ServiceInstanceContent
        if method == "Login":
            session = lab.sessions.login(said.get("userName", ""), said.get("password", ""))
            if session is None:
                raise soap.named_fault(
                    "InvalidLogin", "Cannot complete login due to an incorrect user name or password."
                )
            extra["Set-Cookie"] = f'{COOKIE}="{session.key}"; Path=/; HttpOnly; Secure;'
            user = soap.complete(vim.UserSession(key=session.key, userName=said["userName"]))
            return user, vim.UserSession
        if method == "CurrentTime":
            import datetime

            skew = datetime.timedelta(seconds=lab.said.clock_skew_seconds)
            return datetime.datetime.now(datetime.UTC) + skew, datetime.datetime
        session = self._session()
        if method == "Fetch" and this == "ServiceInstance":
            return _fetch_service(lab.world, said["prop"])
        if session is None:
            raise soap.named_fault("NotAuthenticated", "The session is not authenticated.")
        return self._of_session(method, said, this, session)

    def _of_session(self, method: str, said: dict[str, Any], this: str, session: Session) -> tuple[Any, Any]:
        lab, views = self.lab, session.views
        collector = lab.collector
        match method:
            case "Logout":
                lab.sessions.end(session.key)
                return None, type(None)
            case "Fetch":
                if this == "SessionManager" and said["prop"] == "currentSession":
                    return soap.complete(vim.UserSession(key=session.key, userName=lab.said.user)), vim.UserSession
                return collector.value(this, said["prop"], views)
            case "CreateContainerView":
                kinds = tuple(said.get("type") or [vim.ManagedEntity])
                moid = f"session[{session.key[:8]}]view-{next(views.numbers)}"
                views.views[moid] = [ref for ref in _everything(lab.world) if isinstance(ref, kinds)]
                return vim.view.ContainerView(moid), vim.view.ContainerView
            case "DestroyView":
                views.views.pop(this, None)
                return None, type(None)
            case "RetrievePropertiesEx" | "RetrieveProperties":
                most = said["options"].maxObjects if said.get("options") is not None else None
                result = collector.retrieve(said["specSet"], most, views)
                if method == "RetrieveProperties":
                    content = vmodl.query.PropertyCollector.ObjectContent
                    return (result.objects if result else None), VmomiSupport.CreateArrayType(content)
                return result, vmodl.query.PropertyCollector.RetrieveResult
            case "ContinueRetrievePropertiesEx":
                return collector.go_on(said["token"], views), vmodl.query.PropertyCollector.RetrieveResult
            case "CancelRetrievePropertiesEx":
                views.pages.pop(said["token"], None)
                return None, type(None)
            case "CreatePropertyCollector":
                moid = f"session[{session.key[:8]}]collector-{next(views.numbers)}"
                views.filters[moid] = []
                return vmodl.query.PropertyCollector(moid), vmodl.query.PropertyCollector
            case "DestroyPropertyCollector":
                views.filters.pop(this, None)
                return None, type(None)
            case "CreateFilter":
                moid = f"session[{session.key[:8]}]filter-{next(views.numbers)}"
                views.filters.setdefault(this, []).append((moid, said["spec"]))
                return vmodl.query.PropertyCollector.Filter(moid), vmodl.query.PropertyCollector.Filter
            case "DestroyPropertyFilter":
                for filters in views.filters.values():
                    filters[:] = [each for each in filters if each[0] != this]
                return None, type(None)
            case "WaitForUpdatesEx":
                options = said.get("options")
                seconds = options.maxWaitSeconds if options is not None else None
                update = collector.wait(this, said.get("version") or "", seconds, views, session.ended)
                return update, vmodl.query.PropertyCollector.UpdateSet
            case "WaitForUpdates":
                update = collector.wait(this, said.get("version") or "", None, views, session.ended)
                return update, vmodl.query.PropertyCollector.UpdateSet
            case "FindByUuid":
                return self._by_uuid(said), vim.ManagedEntity
            case "FindByInventoryPath":
                name = said["inventoryPath"].rpartition("/")[2]
                found = [each.ref for each in lab.world.machines.values() if each.name == name]
                return (found[0] if found else None), vim.ManagedEntity
        if method in ("FetchUserPrivilegeOnEntities", "HasPrivilegeOnEntities"):
            return authorization.answer(lab.world, method, said, session.key)
        if method.startswith("HttpNfcLease"):
            return self._of_lease(method.removeprefix("HttpNfcLease"), this, said)
        if method in clusters.PRIVILEGES:
            return lab.world.clusters.call(method, this, said), vim.Task
        value = lab.methods.call(method, this, said)
        if method == "QueryChangedDiskAreas":
            return value, type(value)
        return value, vim.HttpNfcLease if method.startswith("Export") else vim.Task

    def _of_lease(self, deed: str, this: str, said: dict[str, Any]) -> tuple[Any, Any]:
        leases = self.lab.world.leases
        match deed:
            case "Progress":
                leases.progress(this, int(said["percent"]))
            case "Complete" | "Abort":
                leases.end(this, complete=deed == "Complete")
            case "GetManifest":
                return leases.manifest(this), VmomiSupport.CreateArrayType(vim.HttpNfcLease.ManifestEntry)
            case _:
                raise NotImplementedError(deed)
        return None, type(None)

    def _by_uuid(self, said: dict[str, Any]) -> Any:
        for machine in self.lab.world.machines.values():
            mine = machine.instance_uuid if said.get("instanceUuid") else machine.bios_uuid
            if mine == said["uuid"] and said.get("vmSearch"):
                return machine.ref
        return None

    def _strike(self, method: str, this: str) -> None:
        machine = self.lab.world.machines.get(this)
        rule = self.lab.faults.strike(method, machine.name if machine else this)
        if rule is not None and rule.action == "fault":
            raise soap.named_fault(str(rule.argument))
        if rule is not None and rule.action == "drop":
            raise _Dropped

    # -- /folder

    def _folder(self, *, with_body: bool) -> None:
        lab = self.lab
        if not self._known():
            return self._plain(401, extra={"WWW-Authenticate": 'Basic realm="VMware HTTP server"'})
        if {"Datastore.Browse", "Datastore.FileManagement"} & set(lab.said.privileges_missing):
            return self._plain(404)
        try:
            file = files.find(lab.world, self.path)
        except files.NotServed as refused:
            return self._plain(refused.status)
        size = file.size if file.disk is not None else len(file.text)
        rule = lab.faults.strike("GET /folder", file.name)
        if rule is not None and rule.action == "http":
            return self._plain(int(rule.argument))
        start, end, status = 0, size, 200
        asked = self.headers.get("Range")
        if asked is not None and not (rule is not None and rule.action == "no-range"):
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.strip())
            if match is None:
                return self._plain(400)
            start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
            if start >= size or end <= start:
                return self._plain(416, extra={"Content-Range": f"bytes */{size}"})
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
        if rule is not None and rule.action in _ENDS:
            limit = start + int(rule.argument or 0)
        stats.reading(+1)
        try:
            while start < end:
                length = min(PIECE, end - start)
                if limit is not None and start + length > limit:
                    self.wfile.write(file.read(start, max(0, limit - start)))
                    return self._end(rule)
                self.wfile.write(file.read(start, length))
                stats.bytes_served += length
                start += length
        finally:
            stats.reading(-1)
        return None

    # -- /nfc

    def _nfc(self) -> None:
        """A disk of a lease, as a stream without a length, ended by hanging up: no cookie, no ranges."""
        lab = self.lab
        found = nfc.find(lab.world, self.path)
        rule = lab.faults.strike("GET /nfc", self.path.rpartition("/")[2])
        if rule is not None and rule.action == "http":
            return self._plain(int(rule.argument))
        if found is None:
            return self._plain(404)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-vnd.vmware-streamVmdk")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        limit = int(rule.argument or 0) if rule is not None and rule.action in _ENDS else None
        lab.stats.reading(+1)
        try:
            for piece in found.pieces():
                if limit is not None and limit < len(piece):
                    self.wfile.write(piece[:limit])
                    return self._end(rule)
                limit = limit - len(piece) if limit is not None else None
                self.wfile.write(piece)
                lab.stats.bytes_served += len(piece)
        except nfc.LeaseEnded:
            return self._reset()
        finally:
            lab.stats.reading(-1)
        return None

    def _known(self) -> bool:
        if self._session() is not None:
            return True
        scheme, _, said = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, password = base64.b64decode(said).decode().partition(":")
        except ValueError:
            return False
        return self.lab.sessions.login(user, password) is not None  # each opens a session of its own, as hostd does

    # -- answers

    def _plain(
        self, status: int, body: bytes = b"", kind: str = "text/html", extra: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _end(self, rule: FaultRule | None) -> None:
        """In the middle of a body: as by a reset, as by a close, or by silence until the client has hung up."""
        action = rule.action if rule is not None else ""
        if action == "drop":
            return self._reset()
        if action == "stall":
            with contextlib.suppress(OSError):
                while self.connection.recv(1):
                    pass
        self.close_connection = True
        return None

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    # -- the lab's own door

    def _lab(self, verb: str, given: dict[str, Any]) -> None:
        lab, door = self.lab, urlsplit(self.path).path.removeprefix("/lab/")
        answer: Any = {}
        vm, _, deed = door.removeprefix("vms/").partition("/")
        match verb, door:
            case "GET", "stats":
                answer = lab.counted()
            case "GET", "state":
                answer = lab.state()
            case "GET", "faults":
                answer = lab.faults.listed()
            case "POST", "faults":
                answer = asdict(lab.faults.add(FaultRule(**given)))
            case "DELETE", "faults":
                lab.faults.clear()
            case "GET", "outages":
                answer = lab.gate.listed()
            case "POST", "outages":
                answer = asdict(lab.gate.begin(Outage(**given)))
            case "DELETE", "outages":
                lab.gate.clear()
            case "POST", _ if door.startswith("vms/") and deed:
                lab.do(vm, deed, **given)
            case _:
                return self._plain(404)
        return self._plain(200, json.dumps(answer).encode(), "application/json")


class _Dropped(Exception):
    """The connection is to be reset instead of answered."""


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, simulator: "VsphereSimulator") -> None:
        super().__init__(address, _Doors)
        self.simulator, self._context, self.gate = simulator, context, simulator.gate

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.gate.meet(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = self.gate.context(self._context)
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("connection from %s ended", client_address, exc_info=True)


class VsphereSimulator:
    """A vCenter or ESXi host on loopback. Not on 127.0.0.1, where pyVmomi switches TLS checks off."""

    def __init__(
        self, inventory: Vsphere, folder: Path, authority: Authority, *, host: str = "127.0.0.2", port: int = 0,
        clock: Clock | None = None, faults: Faults | None = None, password: str,
    ) -> None:  # fmt: skip
        self.said, self.faults = inventory, faults or Faults()
        clock = clock or Clock()
        self.world = World(inventory, folder, clock, self.faults)
        self.sessions = Sessions(clock, inventory.user, password)
        self.rest = Rest(self.world, inventory.user, password)
        self.collector, self.methods, self.stats = Collector(self.world), Methods(self.world), Stats()
        self.gate = Gate(authority, host)
        self.gate.events = {"sessions": self._log_all_out, "tasks": self.world.tasks.lose, "leases": self._end_leases,
                            "restart": self._restart}  # fmt: skip
        self._listener = _Listener((host, port), authority.server_context(host, *_names(inventory)), self)
        self.world.address, self.world.port = host, self._listener.server_address[1]

    @property
    def url(self) -> str:
        """``https://127.0.0.2:PORT``."""
        host, port = self._listener.server_address[:2]
        return f"https://{host!s}:{port}"

    def start(self) -> None:
        """Serve."""
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more; end all guests."""
        self.sessions.end_all()
        self._listener.shutdown()
        self._listener.server_close()
        self.world.close()

    def _log_all_out(self, _: Any) -> bool:
        return self.sessions.end_all() > 0

    def _end_leases(self, _: Any) -> bool:
        return self.world.leases.time_out() > 0

    def _restart(self, _: Any) -> bool:
        """vpxd or hostd: sessions, leases and the records of tasks are lost; what the tasks do goes on."""
        self.sessions.end_all()
        self.world.leases.time_out()
        self.world.tasks.forget()
        return True

    def counted(self) -> dict[str, Any]:
        """What the lab's door tells."""
        return {
            "calls": dict(self.stats.calls), "bytes_served": self.stats.bytes_served,
            "most_reads": self.stats.most_reads, "sessions": self.sessions.count(),
            "leases": self.world.leases.count(), "restricted": dict(self.world.restricted),
            "most_sessions": self.sessions.most, "logins": self.sessions.logins, "refused": self.sessions.refused,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Power, snapshots and chains of all machines."""
        return {
            machine.name: {
                "power": machine.power,
                "snapshots": [each.name for each in machine.all_snapshots()],
                "chains": [[link.descriptor for link in disk.links] for disk in machine.disks],
                "extra_config": machine.extra_config,
                "change_tracking": machine.tracked,
                "nics_at_start": list(machine.start_connected.values()),
                "power_ons": machine.power_ons,
                "power_log": machine.power_log,
            }
            for machine in self.world.machines.values()
        }

    def do(self, vm: str, deed: str, **given: Any) -> None:
        """What somebody else does to a machine: write, guest, power, leave-out, reset-tracking, snapshot."""
        machine = self.world.vm(vm)
        number = int(given.get("disk", 0))
        match deed:
            case "write":
                data = bytes.fromhex(given["data"]) if "data" in given else bytes([given["byte"]]) * given["length"]
                machine.disks[number].write(int(given["offset"]), data)
            case "guest":
                machine.guest.quiet = not given["writes"]
            case "power":
                if given["state"] == "on" and machine.power != "poweredOn":
                    machine.turn_on()
                elif given["state"] == "off" and machine.power != "poweredOff":
                    machine.turn_off(burst=False)
            case "leave-out":
                tracking = machine.disks[number].tracking
                if tracking is None:
                    tracking = machine.disks[number].tracking = ChangeTracking()
                tracking.left_out.append((int(given["offset"]), int(given["length"])))
            case "reset-tracking":
                found = machine.disks[number].tracking
                if found is not None:
                    found.reset()
            case "snapshot":
                machine.take_snapshot(str(given.get("name", "backup")), "somebody else's")
            case _:
                raise ValueError(f"nobody knows how to {deed}")


def _names(inventory: Vsphere) -> list[str]:
    """Of the hosts: one door stands for all of them, and its certificate for each."""
    return [each.name for each in inventory.hosts if each.name]


def _everything(world: World) -> list[Any]:
    return [
        *(each.ref for each in world.machines.values()), *(each.ref for each in world.datastores.values()),
        *world.networks.values(), *world.hosts, world.datacenter, world.vm_folder, world.compute, world.resource_pool,
    ]  # fmt: skip


def _service_content(world: World) -> Any:
    return soap.complete(
        vim.ServiceInstanceContent(
            rootFolder=world.root, propertyCollector=vmodl.query.PropertyCollector("propertyCollector"),
            viewManager=vim.view.ViewManager("ViewManager"), about=world.about(),
            sessionManager=vim.SessionManager("SessionManager"), searchIndex=vim.SearchIndex("SearchIndex"),
            licenseManager=vim.LicenseManager("LicenseManager"),
            authorizationManager=vim.AuthorizationManager("AuthorizationManager"),
        )
    )  # fmt: skip


def _fetch_service(world: World, prop: str) -> tuple[Any, Any]:
    if prop == "content":
        return _service_content(world), vim.ServiceInstanceContent
    raise NotImplementedError(prop)
