"""What our account may do on a machine, its datastores and the root folder: asked at once, before anything needs it."""

from typing import Any

from pyVmomi import vim, vmodl

from checks.privileges import VSPHERE
from contracts.errors import FerryError
from contracts.facts import Lacking
from platforms.vsphere.session import Session

UNTOLD = ("vsphere.fault", "vsphere.no_permission", "vsphere.licence")
"""Codes of a system that does not answer a question: then it is not known."""


def lacking(session: Session, refs: dict[str, list[Any]]) -> tuple[Lacking, ...]:
    """Each privilege of :data:`checks.privileges.VSPHERE` that the account has not on all of its objects.

    Args:
        refs: the objects by what they are for us: the VM, its datastores, the root folder.

    Raises:
        FerryError: one of :data:`UNTOLD` where the system does not tell.
    """
    objects = [ref for each in refs.values() for ref in each]
    held = _held(session, objects)
    return tuple(
        Lacking(right=need.right, on=need.on)
        for need in VSPHERE
        if any(need.right not in held.get(ref._moId, frozenset()) for ref in refs.get(need.on, []))
    )


def _held(session: Session, objects: list[Any]) -> dict[str, frozenset[str]]:
    """Moid to what is held there. Since 6.5 by FetchUserPrivilegeOnEntities, before by HasPrivilegeOnEntities."""

    def ask(instance: Any) -> dict[str, frozenset[str]]:
        content = instance.RetrieveContent()
        manager, me = content.authorizationManager, content.sessionManager.currentSession
        if manager is None or me is None:
            raise FerryError("vsphere.fault", "it has no AuthorizationManager")
        try:
            told = manager.FetchUserPrivilegeOnEntities(entities=objects, userName=me.userName)
        except (vmodl.fault.MethodNotFound, vmodl.fault.NotSupported, vmodl.fault.InvalidRequest, vim.fault.NotFound):
            rights = [need.right for need in VSPHERE]
            had = manager.HasPrivilegeOnEntities(entity=objects, sessionId=me.key, privId=rights)
            return {
                each.entity._moId: frozenset(one.privId for one in each.privAvailability or [] if one.isGranted)
                for each in had or []
            }
        return {each.entity._moId: frozenset(each.privileges or []) for each in told or []}

    return session.call("ask for our privileges", ask)
