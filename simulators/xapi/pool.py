"""The pool: its records at the start, and how a call finds its way to what carries it out."""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulators.clock import Clock
from simulators.faults import FaultRule, Faults
from simulators.inventory import Xcpng
from simulators.xapi import implicit
from simulators.xapi.chains import Chains
from simulators.xapi.database import Database
from simulators.xapi.failure import AnswerLost, XapiFailure
from simulators.xapi.receiver import BlockDevice
from simulators.xapi.sessions import Sessions
from simulators.xapi.signatures import from_wire, known_error, may, signature
from simulators.xapi.state_file import StateFile
from simulators.xapi.tasks import Tasks

log = logging.getLogger(__name__)
GIB = 1 << 30
Handler = Callable[..., Any]
_HANDLERS: dict[str, Handler] = {}
_LONG: set[str] = set()


def message(name: str, *, long: bool = False) -> Callable[[Handler], Handler]:
    """Register what carries out ``Class.message``. ``long``: other calls are answered meanwhile."""

    def register(handler: Handler) -> Handler:
        _HANDLERS[name] = handler
        if long:
            _LONG.add(name)
        return handler

    return register


@dataclass
class Stats:
    """What the simulator counted."""

    calls: Counter[str] = field(default_factory=Counter)
    puts: int = 0
    exports: int = 0
    bytes_written: int = 0
    bytes_read_by_nbd: int = 0
    most_writers_at_once: dict[str, int] = field(default_factory=dict)  # by VDI: devices of it open for writing
    most_written_at_once: dict[str, int] = field(default_factory=dict)  # by SR: VDIs that are open for writing


class Pool:
    """Everything that all hosts of the pool share."""

    def __init__(self, inventory: Xcpng, folder: Path, clock: Clock, faults: Faults, password: str) -> None:
        self.inventory, self.folder, self.clock, self.faults = inventory, folder, clock, faults
        self.db, self.stats = Database(), Stats()
        self.power_log: list[tuple[float, str, str]] = []
        """When a VM of which name became Running or Halted."""
        self.sessions = Sessions(self.db, clock, inventory.user, password, inventory.role)
        self.tasks = Tasks(self.db, clock)
        self.hosts: list[str] = []
        self.nbd_doors: dict[str, tuple[int, str, str]] = {}  # by host: port, certificate (PEM), the name on it
        self.watchers: Counter[str] = Counter()  # by VM: connections to its consoles
        self.attach_lock = threading.RLock()
        self.chains = Chains()
        self.open_devices: dict[str, BlockDevice] = {}  # by the dom0 VBD that a transfer has open
        self.writing: set[tuple[str, str]] = set()  # name of the SR, and VBD
        folder.mkdir(parents=True, exist_ok=True)
        self._found()
        self.state_file = StateFile(self)
        self.state_file.write()

    # -- calls

    def call(self, host: str, method: str, params: list[Any]) -> Any:
        """Carry out one call that came to that host; the answer is in database terms.

        Raises:
            XapiFailure: what the wire answers.
        """
        asynchronous = method.startswith("Async.")
        plain = method.removeprefix("Async.")
        self.stats.calls[plain] += 1
        told = signature(plain)
        if asynchronous and not told.may_be_async:
            raise XapiFailure("MESSAGE_METHOD_UNKNOWN", method)
        wanted = (1 if told.session else 0) + len(told.params)
        least = wanted - sum(1 for each in told.params if each[2])
        if not least <= len(params) <= wanted:
            raise XapiFailure("MESSAGE_PARAMETER_COUNT_MISMATCH", plain, str(wanted), str(len(params)))
        session = ""
        if told.session:
            session = str(params[0])
            self.sessions.check(session)
            params = params[1:]
            if not may(self.inventory.role, told.role):
                raise XapiFailure("RBAC_PERMISSION_DENIED", plain.lower(), "No permission in user session")
        if host != self.hosts[0] and plain != "session.logout":
            raise XapiFailure("HOST_IS_SLAVE", self.db.get("host", self.hosts[0])["address"])
        values = [from_wire(kind, value, name) for (name, kind, _), value in zip(told.params, params, strict=False)]
        rule = self._strike(plain, values)
        answer = self._in_task(plain, session, values) if asynchronous else self._carry_out(plain, session, values)
        if rule is not None and rule.action == "drop":
            raise AnswerLost
        return answer

    def _strike(self, method: str, values: list[Any]) -> FaultRule | None:
        rule = self.faults.strike(method, self._name_of(method, values))
        if rule is not None and rule.action == "error":
            argument = rule.argument if isinstance(rule.argument, list) else [str(rule.argument)]
            if not known_error(argument[0]) and not argument[0].startswith("SR_BACKEND_FAILURE"):
                raise ValueError(f"{argument[0]} is no XAPI error")
            raise XapiFailure(*argument)
        return rule

    def _name_of(self, method: str, values: list[Any]) -> str:
        cls = method.partition(".")[0]
        if values and isinstance(values[0], str) and self.db.has(cls, values[0]):
            record = self.db.get(cls, values[0])
            return str(record.get("name_label") or record.get("uuid"))
        return ""

    def _carry_out(self, method: str, session: str, values: list[Any]) -> Any:
        with contextlib.nullcontext() if method in _LONG else self.db.lock:
            if method in _HANDLERS:
                answer = _HANDLERS[method](self, session, *values)
            else:
                answer = implicit.carry_out(self.db, method, values)
        if not method.partition(".")[2].startswith("get_"):
            self.state_file.write()
        return answer

    def _in_task(self, method: str, session: str, values: list[Any]) -> str:
        task = self.tasks.create(f"Async.{method}", "", session)

        def work() -> None:
            try:
                answer = self._carry_out(method, session, values)
                self.tasks.succeed(task, f"<value>{answer}</value>" if answer else "")
            except XapiFailure as failure:
                self.tasks.fail(task, failure.description)
            except Exception:
                log.exception("a bug of the simulator in %s", method)
                self.tasks.fail(task, ["INTERNAL_ERROR", "a bug of the simulator"])

        threading.Thread(target=work, daemon=True).start()
        return task

    # -- helpers that the classes share

    def sr_folder(self, sr: str) -> Path:
        """Where an SR's VDI files lie."""
        return self.folder / str(self.db.get("SR", sr)["name_label"])

    def room_left(self, sr: str) -> int:
        """Bytes of an SR that hold nothing, by what its files really take."""
        used = sum(file.stat().st_blocks * 512 for file in self.sr_folder(sr).iterdir() if file.suffix == ".raw")
        return int(self.db.get("SR", sr)["physical_size"]) - used

    def vdi_file(self, vdi: str) -> Path:
        """The sparse raw file of a VDI."""
        record = self.db.get("VDI", vdi)
        return self.sr_folder(record["SR"]) / f"{record['uuid']}.raw"

    def sees(self, host: str, sr: str) -> bool:
        """Whether a host has the SR plugged."""
        return any(
            pbd["host"] == host and pbd["SR"] == sr and pbd["currently_attached"] for pbd in self.db.all("PBD").values()
        )

    def dom0_of(self, host: str) -> str:
        """The control domain of a host."""
        return str(self.db.get("host", host)["control_domain"])

    def vbds_of_vdi(self, vdi: str) -> dict[str, dict[str, Any]]:
        """All VBDs that name a VDI."""
        return {ref: record for ref, record in self.db.all("VBD").items() if record["VDI"] == vdi}

    # -- the beginning

    def _found(self) -> None:
        inventory, db = self.inventory, self.db
        now = datetime.now(UTC)
        for number, host in enumerate(inventory.hosts):
            ref = db.add(
                "host", name_label=host.name, hostname=host.name, enabled=host.enabled,
                address=f"127.0.0.{10 + number}",
                software_version={"product_brand": "XCP-ng", "product_version": inventory.version,
                                  "platform_version": "3.4.0"},
                API_version_major=2, API_version_minor=21, cpu_info={"cpu_count": str(host.cpus)}, edition="xcp-ng",
                license_params={"expiry": f"{host.licence_until.replace('-', '')}T23:59:59Z"},
            )  # fmt: skip
            metrics = db.add("host_metrics", memory_total=int(host.memory_gib * GIB),
                             memory_free=int(host.memory_gib * GIB), live=True, last_updated=now)  # fmt: skip
            dom0 = db.add("VM", name_label=f"Control domain on host: {host.name}", is_control_domain=True,
                          power_state="Running", resident_on=ref, domain_type="pv", domid=0,
                          memory_static_max=4 * GIB)  # fmt: skip
            db.get("host", ref).update(metrics=metrics, control_domain=dom0, resident_VMs=[dom0])
            self.hosts.append(ref)
        for kind in sorted({sr.type for sr in inventory.srs}):
            formats = ["vhd", *(["qcow2"] if any(sr.qcow2 for sr in inventory.srs if sr.type == kind) else [])]
            db.add(
                "SM",
                name_label=kind,
                type=kind,
                supported_image_formats=formats,
                features={} if kind == "udev" else {"VDI_CREATE": 1, "VDI_SNAPSHOT": 1},
            )
        for sr in inventory.srs:
            sr_ref = db.add(
                "SR", name_label=sr.name, type=sr.type, content_type="disk" if sr.type == "udev" else "user",
                physical_size=int(sr.size_gib * GIB),
                shared=sr.type in ("nfs", "lvmoiscsi"), sm_config={"use_vhd": "true"} if "lvm" in sr.type else {},
            )  # fmt: skip
            (self.folder / sr.name).mkdir(exist_ok=True)
            pbds = []
            for ref, host in zip(self.hosts, inventory.hosts, strict=True):
                if host.srs is None or sr.name in host.srs:
                    pbds.append(db.add("PBD", host=ref, SR=sr_ref, currently_attached=True, device_config={}))
            db.get("SR", sr_ref)["PBDs"] = pbds
        for network in inventory.networks:
            purpose = [network.purpose] if network.purpose else []
            ref = db.add("network", name_label=network.name, bridge=f"xapi-{network.name}", MTU=1500, purpose=purpose)
            db.get("network", ref)["PIFs"] = [
                db.add(
                    "PIF",
                    network=ref,
                    host=host,
                    currently_attached=True,
                    device="eth0",
                    IP=db.get("host", host)["address"],
                )
                for host, said in zip(self.hosts, inventory.hosts, strict=True)
                if said.networks is None or network.name in said.networks
            ]
        srs = db.by_name("SR", inventory.srs[0].name) if inventory.srs else []
        other = {"rolling_upgrade_in_progress": "true"} if inventory.rolling_upgrade else {}
        if inventory.backup_network:
            other["xo:backupNetwork"] = db.get("network", db.by_name("network", inventory.backup_network)[0])["uuid"]
        db.add("pool", name_label=inventory.pool, master=self.hosts[0], default_SR=srs[0] if srs else "OpaqueRef:NULL",
               ha_enabled=inventory.high_availability, other_config=other,
               limit_console_sessions=inventory.limit_console_sessions)  # fmt: skip
        for each in inventory.vms:
            power = "Running" if each.power == "on" else "Halted"
            vm = db.add("VM", name_label=each.name, power_state=power, domain_type="hvm")
            lan = db.by_name("network", inventory.networks[0].name)[0]
            db.get("VM", vm)["VIFs"] = [db.add("VIF", VM=vm, network=lan, MAC=each.mac, device="0")]
        from simulators.xapi.templates import add_templates

        add_templates(db)

    def nbd_purpose(self) -> str:
        """``nbd``, ``insecure_nbd``, or empty where no network is for it; never both (xapi.md §4.2)."""
        found = {each for network in self.db.all("network").values() for each in network["purpose"]}
        return next((each for each in ("nbd", "insecure_nbd") if each in found), "")

    def wait(self, seconds: float) -> None:
        """Let some lab time pass."""
        time.sleep(seconds / self.clock.speed)
