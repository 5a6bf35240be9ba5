"""The AuthorizationManager: what the account that is logged in may do, by ``privileges_missing`` of the inventory.

``answers_privileges``: FetchUserPrivilegeOnEntities since 6.5, HasPrivilegeOnEntities since 5.5
(vim.AuthorizationManager).
"""

from typing import TYPE_CHECKING, Any

from pyVmomi import VmomiSupport, vim

from simulators.vsphere import soap

if TYPE_CHECKING:
    from simulators.vsphere.world import World

manager: Any = vim.AuthorizationManager
ALL = (
    "System.Anonymous", "System.View", "System.Read", "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.ChangeTracking", "VirtualMachine.Config.EditDevice", "VirtualMachine.Config.Rename",
    "VirtualMachine.State.CreateSnapshot", "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.Provisioning.DiskRandomRead", "VirtualMachine.Provisioning.GetVmFiles",
    "VirtualMachine.Provisioning.MarkAsTemplate", "VirtualMachine.Provisioning.MarkAsVM",
    "VirtualMachine.Interact.PowerOn", "VirtualMachine.Interact.PowerOff", "VApp.Export", "Datastore.Browse",
    "VirtualMachine.Config.Annotation", "VirtualMachine.Inventory.Delete", "VirtualMachine.Interact.SetCDMedia",
    "Host.Inventory.EditCluster", "Host.Config.AutoStart",
    "Datastore.FileManagement", "Global.DisableMethods", "Global.EnableMethods",
)  # fmt: skip
"""A role that has all that the lab enforces; a real one has hundreds."""


def answer(world: "World", method: str, said: dict[str, Any], session_key: str) -> tuple[Any, Any]:
    """Value and type.

    Raises:
        NotImplementedError: its version has no such method; InvalidArgument, NotFound, ManagedObjectNotFound.
    """
    from simulators.vsphere.machine import invalid_argument
    from simulators.vsphere.tasks import not_found

    speaks = world.said.answers_privileges
    if method == "FetchUserPrivilegeOnEntities" and speaks != "fetch":
        raise NotImplementedError(method)
    if method == "HasPrivilegeOnEntities" and speaks == "none":
        raise NotImplementedError(method)
    asked: list[Any] = said.get("entity") or said.get("entities") or []
    for each in asked:
        if world.properties(each._moId) is None:
            raise not_found(each)
    held = [each for each in ALL if each not in world.said.privileges_missing]
    if method == "FetchUserPrivilegeOnEntities":
        if said.get("userName") != world.said.user:
            raise soap.named_fault("NotFound", "there is no such user")
        results = [manager.UserPrivilegeResult(entity=each, privileges=list(held)) for each in asked]
        return results, VmomiSupport.CreateArrayType(manager.UserPrivilegeResult)
    if said.get("sessionId") != session_key:
        raise invalid_argument("sessionId")
    wanted = said.get("privId") or []
    entities = [
        manager.EntityPrivilege(
            entity=each,
            privAvailability=[manager.PrivilegeAvailability(privId=one, isGranted=one in held) for one in wanted],
        )
        for each in asked
    ]
    return entities, VmomiSupport.CreateArrayType(manager.EntityPrivilege)
