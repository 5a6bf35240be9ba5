"""vCenter's REST API, as far as tags go: log in by Basic, list what is attached, look a tag up, log out.

A bare ESXi host has none of it. Answers are ``{"value": …}`` as under ``/rest``; ``/api`` is left out.
"""

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from simulators.vsphere.world import World

LOGIN = "/rest/com/vmware/cis/session"
ASSOCIATION = "/rest/com/vmware/cis/tagging/tag-association"
TAG = "/rest/com/vmware/cis/tagging/tag/id:"
HEADER = "vmware-api-session-id"
Answer = tuple[int, Any]


class Rest:
    """Its sessions are its own: those of SOAP are worth nothing here."""

    def __init__(self, world: World, user: str, password: str) -> None:
        self._world, self._login = world, (user, password)
        self._sessions: set[str] = set()

    @property
    def open(self) -> int:
        """How many sessions nobody has ended."""
        return len(self._sessions)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Status, and what is said as JSON."""
        parts = urlsplit(target)
        if self._world.said.kind != "vcenter":
            return 404, None
        if (method, parts.path) == ("POST", LOGIN):
            return self._log_in(headers.get("Authorization", ""))
        token = headers.get(HEADER) or headers.get(HEADER.title(), "")
        if token not in self._sessions:
            return 401, None
        if (method, parts.path) == ("DELETE", LOGIN):
            self._sessions.discard(token)
            return 200, {}
        if self._world.said.tags_refused and method != "DELETE":
            return 403, None
        if (method, parts.path) == ("POST", ASSOCIATION):
            return self._attached(parse_qs(parts.query).get("~action", [""])[0], body)
        if method == "GET" and parts.path.startswith(TAG):
            return self._tag(unquote(parts.path.removeprefix(TAG)))
        return 404, None

    def _log_in(self, authorization: str) -> Answer:
        scheme, _, word = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(word, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return 401, None
        if scheme != "Basic" or (user, password) != self._login:
            return 401, None
        token = uuid.uuid4().hex
        self._sessions.add(token)
        return 200, {"value": token}

    def _attached(self, action: str, body: bytes) -> Answer:
        if action == "list-attached-tags-on-objects":
            return self._attached_to_many(body)
        try:
            wanted = json.loads(body)["object_id"]
            kind, moid = wanted["type"], wanted["id"]
        except (ValueError, KeyError, TypeError):
            return 400, None
        if action != "list-attached-tags" or kind != "VirtualMachine":
            return 400, None
        machine = self._world.machines.get(moid)
        return 200, {"value": [tag_id(name) for name in (machine.said.tags if machine is not None else [])]}

    def _attached_to_many(self, body: bytes) -> Answer:
        """Objects without tags are left out."""
        try:
            wanted = [(each["type"], each["id"]) for each in json.loads(body)["object_ids"]]
        except (ValueError, KeyError, TypeError):
            return 400, None
        found = [
            {"object_id": {"type": kind, "id": moid}, "tag_ids": [tag_id(name) for name in machine.said.tags]}
            for kind, moid in wanted
            if kind == "VirtualMachine" and (machine := self._world.machines.get(moid)) and machine.said.tags
        ]
        return 200, {"value": found}

    def _tag(self, wanted: str) -> Answer:
        for machine in self._world.machines.values():
            for name in machine.said.tags:
                if tag_id(name) == wanted:
                    return 200, {"value": {"id": wanted, "name": name, "description": "", "category_id": "lab"}}
        return 404, None


def tag_id(name: str) -> str:
    """As vCenter's look like."""
    return f"urn:vmomi:InventoryServiceTag:{uuid.UUID(hashlib.md5(name.encode()).hexdigest())}:GLOBAL"  # noqa: S324
