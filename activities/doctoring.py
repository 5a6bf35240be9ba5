"""What `ferry doctor` says of a system: the preflight's own checks, made for a machine that has nothing."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from activities.notifying import host_of, knock
from checks import CHECKS, NOTE, Seen
from contracts.inspection import SystemCheck
from contracts.machine import Firmware, Machine, Power
from contracts.notices import Event, NotifyConfig
from contracts.sizes import spoken_size
from contracts.steps import SourceFacts, TargetFacts
from disks.store import Store

LEAST_ROOM = 1 << 30
"""Bytes that the store's folder should have free: a manifest of a 2 TiB disk takes some hundred MiB."""
_NOTHING = Machine(
    source="", machine_id="", ref="", name="any VM", power=Power.ON, firmware=Firmware.BIOS, memory=0, cpus=1
)


@dataclass(frozen=True)
class Topic:
    """One line where all is well. ``line`` None: the system does not tell."""

    name: str
    line: str | None
    codes: tuple[str, ...] = field(default=())


def of_source(name: str, facts: SourceFacts) -> list[SystemCheck]:
    """Lines about a source, whose facts are of the whole system."""
    if facts.in_files:
        return []
    hosts, stores = facts.hosts, facts.datastores
    free = None if stores is None else f"{len(stores)} datastores, all accessible"
    exports = [each for each in stores or () if each.export]
    topics = [
        Topic("privileges", None if facts.lacking is None else "all that Ferry needs",
              ("preflight.privilege_missing", "preflight.transport_privilege", "preflight.privilege_later")),
        Topic("hosts", None if hosts is None else _hosts_told(facts),
              ("preflight.host_name", "preflight.host_port", "preflight.host_maintenance", "preflight.source_known_bad",
               "preflight.source_known_trouble")),
        Topic("datastores", free, ("preflight.datastore_inaccessible", "preflight.datastore_maintenance",
                                   "preflight.datastore_full")),
        *([Topic("exports", ", ".join(f"{each.name} at {each.export}" for each in exports),
                 ("preflight.export_not_seen", "preflight.export_writable", "preflight.export_old_spelling"))]
          if exports else []),
        Topic("clock", None if facts.clock_skew is None else "as the worker's", ("preflight.clock_skew",)),
    ]  # fmt: skip
    return _lines(name, "source", topics, Seen(machine=_NOTHING, source=facts))


def _hosts_told(facts: SourceFacts) -> str:
    hosts = facts.hosts or ()
    versions = ", ".join(sorted({f"{each.version} build {each.build}" for each in hosts if each.version}))
    ports = sorted({each.port for host in hosts for each in host.dialled})
    reached = f"; the worker reaches port {' and '.join(map(str, ports))} of each" if ports else ""
    return f"{len(hosts)} ({versions or 'of unknown version'}){reached}"


def of_target(name: str, facts: TargetFacts) -> list[SystemCheck]:
    """Lines about a pool and its default SR."""
    hosts = facts.hosts
    way = f"by the backup network {facts.backup_network}" if facts.backup_network else "to the hosts' own addresses"
    told = None if hosts is None else ", ".join(
        f"{each.name} ({spoken_size(each.memory_free or 0)} of memory free, {each.cpus or '?'} CPUs)" for each in hosts
    )  # fmt: skip
    sr = f"{facts.sr_name} ({facts.sr_type}) has {spoken_size(facts.sr_free)} free; there are {', '.join(facts.srs)}"
    ranges = facts.reads_ranges
    clocks = [each.clock_skew for each in hosts or () if each.clock_skew is not None]
    topics = [
        Topic("role", None if facts.lacking is None else "allows all that Ferry does", ("preflight.role_too_low",)),
        Topic("hosts", told,
              ("preflight.host_disabled", "preflight.pool_licence", "preflight.pool_upgrading", "preflight.ha_enabled",
               "preflight.pool_known_trouble")),
        Topic("SR", sr, ("preflight.unknown_sr", "preflight.sr_unplugged", "preflight.sr_kind", "preflight.sr_local")),
        Topic("way", None if hosts is None else f"disks go {way}",
              ("preflight.backup_network", "preflight.pool_unreachable")),
        Topic("reading back",
              None if ranges is None else "by NBD" if ranges else "by export: no network is for NBD", ()),
        Topic("clock", "as the worker's" if clocks else None, ("preflight.clock_skew",)),
    ]  # fmt: skip
    return _lines(name, "target", topics, Seen(machine=_NOTHING, target=facts))


def _lines(name: str, kind: str, topics: Iterable[Topic], seen: Seen) -> list[SystemCheck]:
    """What was found under each topic, else its one line. A note is told, and is no failure."""
    lines: list[SystemCheck] = []
    for topic in topics:
        found = [(code, message) for code in topic.codes for message in CHECKS[code].looks(seen)]
        lines += [
            SystemCheck(
                name=name, kind=kind, topic=topic.name, ok=CHECKS[code].severity == NOTE, line=message, code=code
            )
            for code, message in found
        ]
        if topic.line is None:
            lines.append(SystemCheck(name=name, kind=kind, topic=topic.name, ok=None, line="it does not tell"))
        elif not found:
            lines.append(SystemCheck(name=name, kind=kind, topic=topic.name, ok=True, line=topic.line))
    return lines


def of_worker(store: Store, tools: Mapping[str, str], notify: NotifyConfig | None = None) -> list[SystemCheck]:
    """The worker that answers: its store, its Python, and what its ferry.toml makes it need: programs, a webhook.

    Args:
        tools: program to what needs it.
    """
    lines = [_store(store), _line("python", True, f"{platform.python_version()} on {platform.node()}")]
    for program, wanted in sorted(tools.items()):
        version = _version(program)
        told = version or f"{program} cannot be run; {wanted} needs it"
        lines.append(_line(program, bool(version), told, "" if version else "worker.tool_missing"))
    return lines if notify is None else [*lines, *_notify(notify)]


def _notify(config: NotifyConfig) -> list[SystemCheck]:
    if found := knock(config):
        return [_line("notify", False, error.message, error.code) for error in found]
    signed = "signed" if config.secret is not None else "not signed"
    events = "all events" if set(config.events) == set(Event) else ", ".join(config.events) or "no event"
    return [_line("notify", True, f"{host_of(config)} is reached by TLS; {events}, {signed}; nothing was posted")]


def _line(topic: str, ok: bool, line: str, code: str = "") -> SystemCheck:
    return SystemCheck(name="", kind="worker", topic=topic, ok=ok, line=line, code=code)


def _store(store: Store) -> SystemCheck:
    folder = getattr(store, "folder", None)
    if folder is None:
        return _line("store", True, f"a bucket, store {store.id}")
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return _line("store", False, f"{folder}: {error.strerror}", "store.unwritable")
    if not os.access(folder, os.W_OK | os.X_OK):
        return _line("store", False, f"{folder} cannot be written", "store.unwritable")
    told = f"{folder}, {spoken_size(free)} free, store {store.id}"
    return _line("store", free >= LEAST_ROOM, told, "" if free >= LEAST_ROOM else "store.little_room")


def _version(program: str) -> str:
    """The first line of ``--version``; empty where it does not run."""
    try:
        ran = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(ran.stdout.splitlines()), "")[:100]
