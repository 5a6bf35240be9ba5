"""Names and notes of machines, as a reconfiguration changes them: what it takes, and what is refused.

``ConfigSpec.name`` takes VirtualMachine.Config.Rename, ``annotation`` VirtualMachine.Config.Annotation; no two VMs of a
folder bear one name (DuplicateName), and none is longer than 80 characters (InvalidName). A name says nothing of the
files: they stay where they are until a Storage vMotion.
"""

from typing import TYPE_CHECKING, Any

from simulators.vsphere import soap

if TYPE_CHECKING:
    from simulators.vsphere.machine import Machine

LONGEST_NAME = 80


def check_change(machine: "Machine", spec: Any) -> None:
    """Raises a fault where the change of name or note is not to be had."""
    missing = machine.world.said.privileges_missing
    for given, privilege in ((spec.name, "Rename"), (spec.annotation, "Annotation")):
        if given is not None and f"VirtualMachine.Config.{privilege}" in missing:
            error = soap.named_fault("NoPermission", "Permission to perform this operation was denied.")
            error.object, error.privilegeId = machine.ref, f"VirtualMachine.Config.{privilege}"
            raise error
    if spec.name is not None:
        check_name(machine, spec.name)


def check_name(machine: "Machine", name: str) -> None:
    """Raises DuplicateName, InvalidName."""
    if not 0 < len(name) <= LONGEST_NAME:
        error = soap.named_fault("InvalidName", f"The name {name!r} is not valid.")
        error.name = name
        raise error
    others = [each for each in machine.world.machines.values() if each is not machine]
    for each in others:
        if each.name == name and each.said.folder == machine.said.folder:
            error = soap.named_fault("DuplicateName", f"The name {name!r} already exists.")
            error.name, error.object = name, each.ref
            raise error
