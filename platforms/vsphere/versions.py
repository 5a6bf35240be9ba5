"""Which version of the API to speak: the newest that both sides know.

A host refuses a version that is newer than itself ("Unsupported version URI"), so it is asked first. pyVmomi's own
question has no time-out (vsphere.md §5); this one has, and goes over the context that was made for the system.
"""

import re
import ssl

import httpx
from pyVmomi import VmomiSupport

from contracts.errors import FerryError

OLDEST = "vim.version.version11"
"""6.5: for whoever does not tell."""
MOST = 1 << 20
_NAMESPACE = re.compile(r"<namespace>(.*?)</namespace>", re.DOTALL)
_VERSION = re.compile(r"<version>\s*([^<\s]+)\s*</version>")


def spoken_at(address: tuple[str, int], context: ssl.SSLContext, *, timeout: float) -> str:
    """pyVmomi's name of the version to speak with the host at that address.

    Raises:
        OSError: nobody answers, or not by HTTP, or not whom we trust.
        FerryError: as :func:`best_of`.
    """
    host, port = address
    url = httpx.URL(scheme="https", host=host, port=port, path="/sdk/vimServiceVersions.xml")
    text = b""
    try:
        with (
            httpx.Client(verify=context, timeout=timeout, trust_env=False) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                return OLDEST
            for piece in answer.iter_bytes():
                text += piece
                if len(text) > MOST:
                    break
    except httpx.HTTPError as error:
        raise _network_error(error) from None
    return best_of(text[:MOST].decode(errors="replace"))


def _network_error(error: BaseException) -> OSError:
    """What the socket said, without httpx around it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return OSError(type(error).__name__)


def best_of(text: str) -> str:
    """The newest version of ``urn:vim25`` in a vimServiceVersions.xml that pyVmomi knows.

    Raises:
        FerryError: ``vsphere.fault`` when there is none.
    """
    blocks = [each for each in _NAMESPACE.findall(text) if "<name>urn:vim25</name>" in each]
    told = {version for block in blocks for version in _VERSION.findall(block)}
    for name in VmomiSupport.GetServiceVersions("vim25"):
        if VmomiSupport.versionIdMap[name] in told:
            return str(name)
    raise FerryError("vsphere.fault", "it speaks no version of the vSphere API that Ferry knows")
