"""XML that somebody else wrote, read within bounds: no document types, no entities, so deep and so many elements."""

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from contracts.errors import FerryError

MOST_BYTES = 16 << 20
MOST_ELEMENTS = 200_000
MOST_DEPTH = 64


def parsed(data: bytes, what: str) -> Element:
    """Its root; tags and attributes are ``{namespace}name``, as ElementTree has them.

    Raises:
        FerryError: ``file.unreadable``, ``file.too_large``.
    """
    if len(data) > MOST_BYTES:
        raise FerryError("file.too_large", f"{what} is longer than {MOST_BYTES >> 20} MiB")
    builder, parser = TreeBuilder(), expat.ParserCreate(namespace_separator="}")
    depth = count = 0

    def began(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MOST_DEPTH or count > MOST_ELEMENTS:
            raise FerryError("file.too_large", f"{what} has too many elements, or they lie too deep in each other")
        builder.start(_braced(name), {_braced(key): value for key, value in attributes.items()})

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_braced(name))

    def refused(*_: object) -> None:
        raise FerryError("file.unreadable", f"{what} declares a document type, which no appliance needs")

    parser.StartElementHandler, parser.EndElementHandler = began, ended
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refused
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        raise FerryError("file.unreadable", f"{what} is no XML: {error}") from None


def _braced(name: str) -> str:
    return "{" + name if "}" in name else name


def local(name: str) -> str:
    """Without its namespace: dialects differ in that only."""
    return name.rpartition("}")[2]


def children(element: Element, *names: str) -> list[Element]:
    """By their local names, one below the other."""
    found = [element]
    for name in names:
        found = [child for each in found for child in each if local(child.tag) == name]
    return found


def text(element: Element, *names: str) -> str:
    """Of the first of them; empty where there is none."""
    found = children(element, *names)
    return (found[0].text or "").strip() if found else ""


def attribute(element: Element, name: str) -> str:
    """By its local name; empty where there is none."""
    return next((value for key, value in element.attrib.items() if local(key) == name), "")
