"""The messages that every class has by its fields: get_record, get_by_uuid, getters, setters, maps and sets."""

from typing import Any

from simulators.xapi.database import Database
from simulators.xapi.failure import XapiFailure
from simulators.xapi.signatures import classes, signature


def carry_out(db: Database, method: str, values: list[Any]) -> Any:
    """Answer an implied message.

    Raises:
        XapiFailure: MESSAGE_METHOD_UNKNOWN for an explicit one that this simulator leaves out.
    """
    cls, _, name = method.partition(".")
    told = signature(method)
    if name in classes()[cls]["messages"] and not _plain_setter(cls, name):
        raise XapiFailure("MESSAGE_METHOD_UNKNOWN", method)
    match told.implicit or _plain_setter(cls, name):
        case "get_record":
            return db.get(cls, values[0])
        case "get_by_uuid":
            return db.by_uuid(cls, values[0])
        case "get_all":
            return list(db.all(cls))
        case "get_all_records":
            return db.all(cls)
        case "get_by_name_label":
            return db.by_name(cls, values[0])
        case "get_field":
            return db.get(cls, values[0])[name.removeprefix("get_")]
        case "set_field":
            db.get(cls, values[0])[name.removeprefix("set_")] = values[1]
        case "add_to_field":
            found = db.get(cls, values[0])[name.removeprefix("add_to_")]
            if values[1] in found:
                raise XapiFailure("MAP_DUPLICATE_KEY", cls, name.removeprefix("add_to_"), values[0], values[1])
            found[values[1]] = values[2]
        case "remove_from_field":
            db.get(cls, values[0])[name.removeprefix("remove_from_")].pop(values[1], None)
        case "add_field":
            found = db.get(cls, values[0])[name.removeprefix("add_")]
            if values[1] not in found:
                found.append(values[1])
        case "remove_field":
            found = db.get(cls, values[0])[name.removeprefix("remove_")]
            if values[1] in found:
                found.remove(values[1])
        case _:
            raise XapiFailure("MESSAGE_METHOD_UNKNOWN", method)
    return ""


# Explicit in the data model, but they do no more than set a field.
_SETTERS = {
    "VM": ("platform", "other_config", "name_label", "name_description", "has_vendor_device", "actions_after_crash"),
    "VDI": ("name_label", "name_description", "read_only", "sharable", "on_boot"),
    "task": ("other_config", "progress", "result"),
}


def _plain_setter(cls: str, name: str) -> str:
    for prefix, kind in (("set_", "set_field"), ("add_to_", "add_to_field"), ("remove_from_", "remove_from_field")):
        if name.startswith(prefix) and name.removeprefix(prefix) in (*_SETTERS.get(cls, ()), "blocked_operations"):
            return kind
    return ""
