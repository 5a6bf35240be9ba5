"""What the data model allows: every call is checked against it before it is looked at."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from simulators.xapi.failure import NULL, XapiFailure

ROLES = ["READ_ONLY", "VM_OP", "VM_ADMIN", "VM_POWER_ADMIN", "POOL_OP", "POOL_ADMIN"]
_ROLE_NAMES = {
    "read-only": "READ_ONLY",
    "vm-operator": "VM_OP",
    "vm-admin": "VM_ADMIN",
    "vm-power-admin": "VM_POWER_ADMIN",
    "pool-operator": "POOL_OP",
    "pool-admin": "POOL_ADMIN",
}


@dataclass(frozen=True)
class Signature:
    """One message: its parameters after the session, and who may send it."""

    name: str
    params: tuple[tuple[str, str, bool], ...]
    result: str
    session: bool = True
    may_be_async: bool = True
    role: str = "READ_ONLY"
    implicit: str = ""


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((Path(__file__).parent / "signatures.json").read_text())
    return table


def classes() -> dict[str, Any]:
    """Fields and messages by class."""
    found: dict[str, Any] = _table()["classes"]
    return found


def fields(cls: str) -> dict[str, list[Any]]:
    """Name to [type, qualifier, part of create, required, default]."""
    found: dict[str, list[Any]] = classes()[cls]["fields"]
    return found


def known_error(code: str) -> bool:
    """Whether the catalogue has that code."""
    return code in _table()["errors"]


def signature(method: str) -> Signature:
    """The signature of ``Class.message``, explicit or implied by the fields.

    Raises:
        XapiFailure: MESSAGE_METHOD_UNKNOWN.
    """
    cls, _, message = method.partition(".")
    if cls not in classes() or not message:
        raise XapiFailure("MESSAGE_METHOD_UNKNOWN", method)
    explicit = classes()[cls]["messages"].get(message)
    if explicit is not None:
        params = tuple((name, kind, bool(optional)) for name, kind, optional in explicit["params"])
        return Signature(method, params, "", bool(explicit["session"]), bool(explicit["async"]), explicit["role"])
    implied = _implied(cls, message)
    if implied is None:
        raise XapiFailure("MESSAGE_METHOD_UNKNOWN", method)
    return implied


def _implied(cls: str, message: str) -> Signature | None:
    name, role = f"{cls}.{message}", classes()[cls]["role"]
    ref = f"{cls} ref"
    own = ("self", ref, False)
    if message == "create" and classes()[cls]["create"]:
        return Signature(name, (("args", f"{cls} record", False),), ref, role=role, implicit="create")
    if message == "destroy" and classes()[cls]["create"]:
        return Signature(name, (own,), "", role=role, implicit="destroy")
    if cls in ("event",) or (cls == "session" and message.startswith("get_all")):
        return None
    simple = {
        "get_record": ((own,), f"{cls} record"),
        "get_by_uuid": ((("uuid", "string", False),), ref),
        "get_all": ((), f"{ref} set"),
        "get_all_records": ((), f"({ref} -> {cls} record) map"),
    }
    if message in simple:
        return Signature(name, *simple[message], implicit=message)
    if message == "get_by_name_label" and "name_label" in fields(cls):
        return Signature(name, (("label", "string", False),), f"{ref} set", implicit=message)
    match = re.fullmatch(r"(get|set|add_to|remove_from|add|remove)_(\w+)", message)
    if match is None or match[2] not in fields(cls):
        return None
    kind, qualifier = fields(cls)[match[2]][0], fields(cls)[match[2]][1]
    if match[1] == "get":
        return Signature(name, (own,), kind, may_be_async=False, implicit="get_field")
    hand_written = (cls, match[2]) in {("VM", "other_config"), ("VM", "platform"), ("VM", "blocked_operations")}
    if qualifier != "RW" and not hand_written:
        return None
    value = {
        "set": (("value", kind, False),),
        "add_to": (("key", "string", False), ("value", "string", False)),
        "remove_from": (("key", "string", False),),
        "add": (("value", "string", False),),
        "remove": (("value", "string", False),),
    }[match[1]]
    is_map, is_set = kind.endswith("map"), kind.endswith(" set")
    if (match[1] in ("add_to", "remove_from") and not is_map) or (match[1] in ("add", "remove") and not is_set):
        return None
    return Signature(name, (own, *value), "", may_be_async=False, role=role, implicit=f"{match[1]}_field")


def may(role: str, wanted: str) -> bool:
    """Whether a user's role (``pool-admin``) allows what wants at least that role."""
    if wanted in ("ALL", "(Some [])") or wanted not in ROLES:
        return True
    return ROLES.index(_ROLE_NAMES[role]) >= ROLES.index(wanted)


def permissions(role: str) -> list[str]:
    """What a session of that role may call, as XAPI writes it into ``rbac_permissions``: names in small letters, and
    the HTTP handlers behind ``http/`` (rbac.ml, datamodel.ml: rbac_http_permission_prefix; xapi.md §1.1)."""
    found = ["http/put_import_raw_vdi", "http/get_export_raw_vdi"] if may(role, "VM_ADMIN") else []
    for cls, told in classes().items():
        names = [*told["messages"], *(["create", "destroy"] if told["create"] else [])]
        found += [f"{cls}.{name}".lower() for name in names if may(role, signature(f"{cls}.{name}").role)]
    return sorted(found)


def from_wire(kind: str, value: Any, where: str) -> Any:
    """A value of the wire as the database holds it.

    Raises:
        XapiFailure: FIELD_TYPE_ERROR.
    """
    bad = XapiFailure("FIELD_TYPE_ERROR", where)
    if kind == "int":
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise bad
        try:
            return int(value)
        except ValueError:
            raise bad from None
    if kind == "float":
        if isinstance(value, bool) or not isinstance(value, float | int):
            raise bad
        return float(value)
    if kind == "bool":
        if not isinstance(value, bool):
            raise bad
        return value
    if kind == "datetime":
        return value
    if kind.endswith("map"):
        if not isinstance(value, dict):
            raise bad
        return {str(key): str(each) for key, each in value.items()}
    if kind.endswith(" set"):
        if not isinstance(value, list | tuple):
            raise bad
        return [from_wire(kind[:-4], each, where) for each in value]
    if kind.endswith("record"):
        if not isinstance(value, dict):
            raise bad
        return value
    if not isinstance(value, str):
        raise bad
    if kind.endswith(" ref") and value == "":
        return NULL
    return value


def to_wire(value: Any, *, native: bool) -> Any:
    """A value of the database as the wire wants it: XML-RPC carries 64-bit integers as strings."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else value
    if isinstance(value, int):
        return value if native else str(value)
    if isinstance(value, datetime):
        return value.strftime("%Y%m%dT%H:%M:%SZ") if native else value
    if isinstance(value, dict):
        return {str(key): to_wire(each, native=native) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [to_wire(each, native=native) for each in value]
    return value


_CONSTANTS: dict[str, Any] = {
    "VBool false": False,
    "VBool true": True,
    "VSet []": [],
    "VMap []": {},
    "VRef null_ref": NULL,
    'VRef ""': NULL,
    "soft_reboot": "soft_reboot",
}


def default_of(kind: str, text: str | None) -> Any:
    """A field's default: the data model's OCaml text, or the empty value of its type."""
    if text is not None:
        if text in _CONSTANTS:
            found = _CONSTANTS[text]
            return dict(found) if isinstance(found, dict) else list(found) if isinstance(found, list) else found
        if match := re.fullmatch(r'V(?:String|Enum) "(.*)"', text):
            return match[1]
        if match := re.fullmatch(r"VInt (-?\d+)L?", text):
            return int(match[1])
        if match := re.fullmatch(r"VFloat (-?[\d.]+)", text):
            return float(match[1])
    if kind.endswith("map"):
        return {}
    if kind.endswith(" set"):
        return []
    if kind.endswith(" ref"):
        return NULL
    empty = {"int": 0, "float": 0.0, "bool": False}
    return empty.get(kind, "")
