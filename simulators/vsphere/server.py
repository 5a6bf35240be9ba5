"""The simulator and its listener: which request goes to which door, all over TLS."""

import http.server
import json
import logging
import socket
import ssl
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulators.authority import Authority
from simulators.clock import Clock
from simulators.faults import Faults
from simulators.inventory import Vsphere
from simulators.outages import Gate
from simulators.vsphere.collector import Collector
from simulators.vsphere.file_doors import FileDoors
from simulators.vsphere.lab_door import LabDoor
from simulators.vsphere.methods import Methods
from simulators.vsphere.rest import Rest
from simulators.vsphere.sdk_door import SdkDoor
from simulators.vsphere.sessions import Sessions
from simulators.vsphere.tracking import ChangeTracking
from simulators.vsphere.world import World

log = logging.getLogger(__name__)


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


class _Doors(SdkDoor, FileDoors, LabDoor):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/lab/"):
            return self.answer_lab("POST", json.loads(body or b"{}"))
        if self.path.startswith("/rest/"):
            return self._rest("POST", body)
        return self.answer_soap(body)

    def do_DELETE(self) -> None:
        if self.path.startswith("/rest/"):
            return self._rest("DELETE", b"")
        return self.answer_lab("DELETE", {})

    def do_GET(self) -> None:
        if self.path.startswith("/lab/"):
            self.answer_lab("GET", {})
        elif self.path.startswith("/rest/"):
            self._rest("GET", b"")
        elif self.path.startswith("/folder/"):
            self.serve_folder(with_body=True)
        elif self.path.startswith("/nfc/"):
            self.serve_nfc()
        elif urlsplit(self.path).path == "/sdk/vimServiceVersions.xml":
            self.say_versions()
        else:
            self.plain(404)

    def do_HEAD(self) -> None:
        self.serve_folder(with_body=False)

    def _rest(self, method: str, body: bytes) -> None:
        rule = self.lab.faults.strike("REST", urlsplit(self.path).path)
        if rule is not None and rule.action == "http":
            return self.plain(int(rule.argument))
        status, said = self.lab.rest.answer(method, self.path, dict(self.headers.items()), body)
        return self.plain(status, json.dumps(said).encode() if status == 200 else b"", "application/json")


class Listener(http.server.ThreadingHTTPServer):
    """A thread a connection; outages meet it before its handshake."""

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
        self._listener = Listener((host, port), authority.server_context(host, *_names(inventory)), self)
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
            "most_frozen_at_once": dict(self.world.most_frozen),
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
        """What somebody else does to a machine: write, guest, power, leave-out, reset-tracking, grow,
        snapshot."""
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
            case "grow":
                machine.disks[number].grow(int(given["capacity"]))
            case "snapshot":
                machine.take_snapshot(str(given.get("name", "backup")), "somebody else's")
            case _:
                raise ValueError(f"nobody knows how to {deed}")


def _names(inventory: Vsphere) -> list[str]:
    """Of the hosts: one door stands for all of them, and its certificate for each."""
    return [each.name for each in inventory.hosts if each.name]
