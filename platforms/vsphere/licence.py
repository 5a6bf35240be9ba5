"""Whether the API may change anything: that of a bare ESXi with the free licence may not (vsphere.md §1h)."""

from typing import Any

from contracts.errors import FerryError
from platforms.vsphere.properties import read_one
from platforms.vsphere.session import Session

FREE = "esxBasic"


def is_read_only(session: Session) -> bool:
    """A vCenter never is: it lists all its keys, in use or not, and manages no free host.

    A host that does not tell is taken to allow changes; it says ``vsphere.licence`` when it is asked for the first.
    """
    content: Any = session.call("ask what it is", lambda instance: instance.RetrieveContent())
    if content.about.apiType != "HostAgent" or content.licenseManager is None:
        return False
    try:
        told = read_one(session, content.licenseManager, ["licenses"], "read its licence")
    except FerryError as error:
        if error.code not in ("vsphere.no_permission", "vm.gone"):
            raise
        return False
    return any(each.editionKey == FREE for each in told.get("licenses") or [])
