"""The content id in a disk's descriptor: another one once the disk was closed after a write (vsphere.md §6).

Of a disk that is open it tells nothing. Of one that was off before and is off after, it tells whether its machine ran
in between, where no change id does.
"""

import http.client
import re
import ssl
import time

from contracts.errors import FerryError
from platforms.vsphere.session import Session
from platforms.vsphere.transports.https import target_of
from platforms.vsphere.transports.reader import NotServed

TRIES = 3
PAUSE = 0.5
TIMEOUT = 60.0
MOST = 4096
"""Bytes that are asked for: the id is in the first lines."""
_CONTENT_ID = re.compile(rb"^CID=([0-9a-fA-F]{1,8})\s*$", re.MULTILINE)


def content_id(session: Session, path: str, datacenter: str) -> str:
    """Of the descriptor ``[datastore] folder/file.vmdk``; empty where it has none.

    Raises:
        FerryError: ``vsphere.read_failed`` for what may pass, as :class:`NotServed` where the host means it.
    """
    for attempt in range(1, TRIES + 1):
        cookie = session.cookie()
        status, head = _get(session, target_of(path, datacenter), cookie, path)
        if status in (200, 206):
            found = _CONTENT_ID.search(head)
            return found[1].decode().lower() if found else ""
        if status == 401:
            session.renew(cookie)
        elif status < 500:
            break
        if attempt < TRIES:
            time.sleep(PAUSE)
    raise NotServed(f"{path}: HTTP {status}")


def _get(session: Session, target: str, cookie: str, path: str) -> tuple[int, bytes]:
    host, port = session.address
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=session.context())
    try:
        connection.request("GET", target, headers={"Cookie": cookie, "Range": f"bytes=0-{MOST - 1}"})
        answer = connection.getresponse()
        return answer.status, answer.read(MOST)
    except ssl.SSLCertVerificationError as error:
        raise FerryError("vsphere.certificate", f"{path}: {error.verify_message}") from None
    except (OSError, http.client.HTTPException) as error:
        raise FerryError("vsphere.read_failed", f"{path}: {type(error).__name__}") from None
    finally:
        connection.close()
