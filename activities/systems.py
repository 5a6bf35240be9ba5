"""The platforms that this worker can reach, by the names of its ferry.toml."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from activities.limits import Limits
from contracts.capacity import CapacityConfig
from contracts.errors import FerryError
from contracts.notices import NotifyConfig
from disks.store import Store
from platforms.ports import Source, Target

System = TypeVar("System")


@dataclass(frozen=True)
class Systems:
    """What the worker hands to its activities."""

    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    store: Store
    limits: Limits = field(default_factory=Limits)
    capacity: CapacityConfig = field(default_factory=CapacityConfig)
    tools: Mapping[str, str] = field(default_factory=dict)
    """Programs that its ferry.toml makes it need, and what for."""
    notify: NotifyConfig | None = None
    site: str = ""
    """Whose activities this worker takes; empty: those of none."""
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32, thread_name_prefix="step"))

    def source(self, name: str) -> Source:
        """Raises ``request.unknown_system``."""
        return _named(self.sources, name, "source")

    def target(self, name: str) -> Target:
        """Raises ``request.unknown_system``."""
        return _named(self.targets, name, "target")


def _named(systems: Mapping[str, System], name: str, kind: str) -> System:
    if name not in systems:
        known = ", ".join(sorted(systems)) or "none"
        raise FerryError("request.unknown_system", f"no {kind} is called {name!r}; this worker knows {known}")
    return systems[name]
