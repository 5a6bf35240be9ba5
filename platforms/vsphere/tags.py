"""A VM's tags: a matter of vCenter's REST API, since SOAP does not know them (vsphere.md §4).

`/rest` and not `/api`: 6.5 has it as well as 8.0. Tags are worth carrying over and not worth a failed migration,
so that whatever goes wrong is told and nothing is raised.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import httpx

from contracts.errors import FerryError
from contracts.redaction import keep
from platforms.secrets import resolve
from platforms.vsphere.session import Session

PATIENCE = 20.0
MOST = 1 << 20
"""Bytes of one answer."""
MOST_TAGS = 256
MANY = 1000
"""VMs that are asked about in one call: their answer is far below what is read of one."""
_LOGIN = "/rest/com/vmware/cis/session"
_TAGGING = "/rest/com/vmware/cis/tagging"


Answer = TypeVar("Answer")


class _Unreadable(Exception):
    """Why, for people."""


def tags_of(session: Session, moref: str) -> tuple[tuple[str, ...], str]:
    """The names of a VM's tags, sorted; and why they could not be read, where they could not.

    The password was taken at the SOAP door before this one is asked, so that a wrong one is not tried twice.
    """
    return _asked(session, lambda door: _read(door, session, moref), ())


def tags_of_many(session: Session, morefs: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], str]:
    """The same of many VMs, by moref; those without tags are left out."""
    none: dict[str, tuple[str, ...]] = {}
    return _asked(session, lambda door: _read_many(door, session, morefs), none)


def _asked(session: Session, reading: Callable[[httpx.Client], Answer], nothing: Answer) -> tuple[Answer, str]:
    about: Any = session.call("ask what it is", lambda instance: instance.RetrieveContent().about)
    if about.apiType != "VirtualCenter":
        return nothing, ""  # a bare host has none
    host, port = session.address
    try:
        with httpx.Client(
            base_url=httpx.URL(scheme="https", host=host, port=port),
            verify=session.context(),
            timeout=PATIENCE,
            trust_env=False,
        ) as door:
            return reading(door), ""
    except _Unreadable as error:
        return nothing, str(error)
    except (httpx.HTTPError, FerryError) as error:
        return nothing, type(error).__name__ if isinstance(error, httpx.HTTPError) else error.message


def _headers(door: httpx.Client, session: Session) -> dict[str, str]:
    login = (session.config.username, resolve(session.config.password))
    token = _value(door, "POST", _LOGIN, auth=httpx.BasicAuth(*login))
    return {"vmware-api-session-id": keep(str(token), passing=True)}


def _read_many(door: httpx.Client, session: Session, morefs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    headers = _headers(door, session)
    found: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    try:
        for start in range(0, len(morefs), MANY):
            some = [{"type": "VirtualMachine", "id": each} for each in morefs[start : start + MANY]]
            rows = _value(
                door, "POST", f"{_TAGGING}/tag-association", params={"~action": "list-attached-tags-on-objects"},
                headers=headers, json={"object_ids": some},
            )  # fmt: skip
            for row in rows or ():
                ids = [str(each) for each in row["tag_ids"]][:MOST_TAGS]
                for each in ids:
                    if each not in names:
                        tag = _value(door, "GET", f"{_TAGGING}/tag/id:{each}", headers=headers)
                        names[each] = str(tag["name"])
                found[str(row["object_id"]["id"])] = tuple(sorted(names[each] for each in ids))
    except (KeyError, TypeError, AttributeError):
        raise _Unreadable("the list of tags makes no sense") from None
    finally:
        door.delete(_LOGIN, headers=headers)
    return found


def _read(door: httpx.Client, session: Session, moref: str) -> tuple[str, ...]:
    headers = _headers(door, session)
    try:
        ids = _value(
            door, "POST", f"{_TAGGING}/tag-association", params={"~action": "list-attached-tags"}, headers=headers,
            json={"object_id": {"type": "VirtualMachine", "id": moref}},
        )  # fmt: skip
        ids = [] if ids is None else ids  # vcsim says null for none
        if not isinstance(ids, list) or len(ids) > MOST_TAGS:
            raise _Unreadable("the list of its tags makes no sense")
        tags = [_value(door, "GET", f"{_TAGGING}/tag/id:{each}", headers=headers) for each in ids]
    finally:
        door.delete(_LOGIN, headers=headers)  # sessions that nobody ends lock everybody out
    return tuple(sorted({str(tag["name"]) for tag in tags if isinstance(tag, dict) and tag.get("name")}))


def _value(door: httpx.Client, method: str, path: str, **more: Any) -> Any:
    """``value`` of an answer: bounded, and 200 or nothing."""
    with door.stream(method, path, **more) as answer:
        if answer.status_code != httpx.codes.OK:
            raise _Unreadable(f"HTTP {answer.status_code}")
        body = b""
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > MOST:
                raise _Unreadable("too long an answer")
    try:
        return httpx.Response(200, content=body).json()["value"]
    except (ValueError, KeyError, TypeError):
        raise _Unreadable("an answer without a value") from None
