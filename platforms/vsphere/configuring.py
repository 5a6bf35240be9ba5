"""Changes of a machine's configuration, and the waiting for them."""

from collections.abc import Callable, Mapping
from typing import Any

from pyVmomi import vim

from platforms.vsphere.located import Located
from platforms.vsphere.properties import finished
from platforms.vsphere.session import Session

PATIENCE = 600.0
"""Seconds for a reconfiguration or a power call; after them its effect is looked for by the next attempt."""


def carry_out(session: Session, vm: Located, doing: str, begin: Callable[[Any], Any]) -> None:
    """Begin a task on the machine, once, and wait for it."""
    task = session.call(doing, lambda instance: begin(vm.managed(instance)), repeat=False)
    finished(session, task, doing, patience=PATIENCE)


def reconfigure(session: Session, vm: Located, spec: Any, doing: str) -> None:
    """Put a ConfigSpec in force."""
    carry_out(session, vm, f"{doing} ({vm.name})", lambda managed: managed.ReconfigVM_Task(spec))


def options(values: Mapping[str, str]) -> list[Any]:
    """``extraConfig`` for a ConfigSpec; an empty value takes the key away."""
    return [vim.option.OptionValue(key=str(key), value=value) for key, value in values.items()]
