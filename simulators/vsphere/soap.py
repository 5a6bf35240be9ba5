"""SOAP on pyVmomi's types: requests read by ElementTree and the types' own tables, answers by its serializer."""

import base64
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from typing import Any

from pyVmomi import SoapAdapter, VmomiSupport, vim, vmodl

F_OPTIONAL = VmomiSupport.F_OPTIONAL
Object = VmomiSupport.Object
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}"
_NAMESPACES = {**SoapAdapter.SOAP_NSMAP, "urn:vim25": ""}
MOST_BODY = 4 << 20


class BadRequest(Exception):
    """Not SOAP, or not of this API."""


def parse(body: bytes) -> tuple[str, dict[str, Any], str]:
    """A request: the method's name, its parameters by name (``_this`` first), and the moid it is called on."""
    if len(body) > MOST_BODY or b"<!DOCTYPE" in body:
        raise BadRequest("too large, or with a document type")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  no document type, bounded in size
    except ElementTree.ParseError as error:
        raise BadRequest(str(error)) from None
    said = root.find(f"{ENVELOPE}Body")
    if said is None or len(said) != 1:
        raise BadRequest("no body")
    call = said[0]
    method = call.tag.rpartition("}")[2]
    this = call.find("{urn:vim25}_this")
    if this is None:
        raise BadRequest("no _this")
    if method == "Fetch":
        return method, {"prop": call.findtext("{urn:vim25}prop") or ""}, this.text or ""
    try:
        info = VmomiSupport.GetWsdlMethod("urn:vim25", method).info
    except KeyError:
        return method, {}, this.text or ""
    values: dict[str, Any] = {}
    for param in info.params:
        found = [each for each in call if each.tag == f"{{urn:vim25}}{param.name}"]
        if found:
            values[param.name] = _value(found, param.type)
    return method, values, this.text or ""


def _value(elements: list[ElementTree.Element], kind: Any) -> Any:
    if _is_array(kind):
        return kind([_one(each, kind.Item) for each in elements])
    return _one(elements[0], kind)


def _one(element: ElementTree.Element, kind: Any) -> Any:
    if XSI in element.attrib:
        kind = _named(element.attrib[XSI], kind)
    text = element.text or ""
    if _is_array(kind):
        return kind([_one(each, kind.Item) for each in element])
    if kind is bool:
        return text in ("true", "1")
    if kind is VmomiSupport.binary:
        return base64.b64decode(text)
    if kind is datetime:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    if isinstance(kind, type) and issubclass(kind, VmomiSupport.ManagedObject):
        named = element.attrib.get("type")
        return (VmomiSupport.GetWsdlType("urn:vim25", named) if named else kind)(text)
    if isinstance(kind, type) and issubclass(kind, VmomiSupport.DataObject):
        made = kind()
        for info in kind._GetPropertyList():
            found = [each for each in element if each.tag.rpartition("}")[2] == info.name]
            if found:
                setattr(made, info.name, _value(found, info.type))
        return made
    if kind is type or kind is VmomiSupport.PropertyPath:
        return VmomiSupport.GuessWsdlType(text) if kind is type else text
    return text if kind is object else kind(text)


def _is_array(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, list)


def _named(name: str, kind: Any) -> Any:
    plain = name.rpartition(":")[2]
    simple = {"string": str, "boolean": bool, "int": int, "long": VmomiSupport.long, "dateTime": datetime}
    if plain in simple:
        return simple[plain]
    try:
        return VmomiSupport.GuessWsdlType(plain)
    except KeyError:
        return kind


def version_of(action: str) -> Any:
    """The API version of a SOAPAction such as ``"urn:vim25/8.0.3.0"``."""
    return VmomiSupport.versionMap.get(
        action.strip('"').removeprefix("urn:"), VmomiSupport.newestVersions.GetName("vim")
    )


def answer(method: str, value: Any, kind: Any, version: Any) -> bytes:
    """A response."""
    text = ""
    if value is not None and not (isinstance(value, list) and not value):
        info = Object(name="returnval", type=kind, version=version, flags=F_OPTIONAL)
        text = SoapAdapter.SerializeToStr(value, info, version, dict(_NAMESPACES))
    return _envelope(f'<{method}Response xmlns="urn:vim25">{text}</{method}Response>')


def fault(error: Any, version: Any) -> bytes:
    """A fault: HTTP 500 and the fault's own type in the detail."""
    kind = VmomiSupport.GetWsdlName(type(error))
    info = Object(name=f"{kind}Fault", type=type(error), version=version, flags=0)
    detail = SoapAdapter.SerializeFaultDetail(error, info, version, dict(_NAMESPACES))
    message = error.msg or kind
    return _envelope(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode>"
        f"<faultstring>{SoapAdapter.XmlEscape(message)}</faultstring><detail>{detail}</detail></soapenv:Fault>"
    )


def _envelope(body: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>'
    ).encode()


def complete(made: Any) -> Any:
    """Fill what the API demands and we have nothing to say about: the serializer refuses unset required fields."""
    for info in made._GetPropertyList():
        kind = info.type
        if info.flags & F_OPTIONAL or getattr(made, info.name) not in (None,):
            continue
        if issubclass(kind, list):
            continue
        setattr(made, info.name, _blank(kind))
    return made


def _blank(kind: Any) -> Any:
    if kind is bool:
        return False
    if kind is str:
        return ""
    if kind is datetime:
        return datetime.now(UTC)
    if issubclass(kind, VmomiSupport.Enum) if hasattr(VmomiSupport, "Enum") else hasattr(kind, "values"):
        return kind(kind.values[0])
    if issubclass(kind, VmomiSupport.DataObject):
        return complete(kind())
    if issubclass(kind, VmomiSupport.ManagedObject):
        return kind("none")
    return kind(0)


def named_fault(name: str, message: str = "") -> Any:
    """A fault by its name, such as ``TaskInProgress``, complete enough to be sent."""
    kind = getattr(vim.fault, name, None) or getattr(vmodl.fault, name)
    made = complete(kind())
    made.msg = message or name
    return made
