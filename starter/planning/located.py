"""YAML as plain data, with the place of each word. Made from the parser's events, so that what is too much is refused
before it is built: no anchors (a few lines of them are gigabytes), no tags, bounded in size, depth and number."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MOST_DEEP = 12
"""A plan needs seven."""
MOST_WORDS = 5_000_000
"""Events of the parser: 50,000 members are some 600,000."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, and in which line (from 1) of the file."""

    line: int
    message: str
    code: str = "plan.invalid"


class Malformed(Exception):
    """It is no YAML that we read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass
class Where:
    """Where a value stands, and what is in it. Lines from 1; ``last``: the line in which its text ends."""

    line: int
    last: int = 0
    column: int = 0
    flow: bool = False
    keys: dict[str, int] = field(default_factory=dict)
    inside: dict[str | int, "Where"] = field(default_factory=dict)

    def at(self, *path: str | int) -> int:
        """The line of a value, or of its key; of what is around it where it is not there."""
        place = self
        for number, step in enumerate(path):
            if number == len(path) - 1 and step in place.keys:
                return place.keys[str(step)]
            if step not in place.inside:
                break
            place = place.inside[step]
        return place.line


def located(text: str) -> tuple[Any, Where]:
    """Plain data, and where each of it stands.

    Raises:
        Malformed: with the line.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        return _document(_bounded(yaml.parse(text)))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = str(error.problem or error.context or "it is no YAML")
        raise Malformed(Problem((mark.line if mark is not None else 0) + 1, told)) from None
    except YAMLError as error:
        before = text[: getattr(error, "position", 0) or 0]
        raise Malformed(Problem(before.count("\n") + 1, str(error).splitlines()[0])) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise Malformed(Problem(1, f"it is no YAML: {error}")) from None


def _bounded(events: Any) -> Iterator[Any]:
    """Everything but anchors and what is too much."""
    documents = 0
    for count, event in enumerate(events):
        line = event.start_mark.line + 1
        documents += isinstance(event, DocumentStartEvent)
        if count > MOST_WORDS or documents > 1:
            raise Malformed(Problem(line, "a plan is one document" if documents > 1 else "it is too long for a plan"))
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise Malformed(Problem(line, "anchors and aliases (& and *) are not read: write it out"))
        if getattr(event, "tag", None):
            raise Malformed(Problem(line, f"tags are not read: leave {event.tag} out"))
        yield event


def _document(events: Iterator[Any]) -> tuple[Any, Where]:
    for event in events:
        if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
            value, where = _value(event, events, 0)
            for _ in events:  # to its end, so that what comes after it is seen
                pass
            return value, where
    return None, Where(1)


def _value(event: Any, events: Iterator[Any], depth: int) -> tuple[Any, Where]:
    start = event.start_mark
    where = Where(start.line + 1, column=start.column, flow=bool(getattr(event, "flow_style", False)))
    if depth > MOST_DEEP:
        raise Malformed(Problem(where.line, "it is nested too deep"))
    if isinstance(event, ScalarEvent):
        where.last = _last(event)
        return _plain(event), where
    if isinstance(event, SequenceStartEvent):
        return _items(where, events, depth), where
    return _pairs(where, events, depth), where


def _items(where: Where, events: Iterator[Any], depth: int) -> list[Any]:
    items: list[Any] = []
    for event in events:
        if isinstance(event, SequenceEndEvent):
            where.last = max(_last(event), _last_of(where))
            break
        value, inside = _value(event, events, depth + 1)
        where.inside[len(items)] = inside
        items.append(value)
    return items


def _pairs(where: Where, events: Iterator[Any], depth: int) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for event in events:
        if isinstance(event, MappingEndEvent):
            where.last = max(_last(event), _last_of(where))
            break
        line = event.start_mark.line + 1
        if not isinstance(event, ScalarEvent):
            raise Malformed(Problem(line, "a key is a word"))
        key = str(event.value)
        if key in pairs:
            raise Malformed(Problem(line, f"{key[:80]!r} is there twice, first in line {where.keys[key]}"))
        pairs[key], where.inside[key] = _value(next(events), events, depth + 1)
        where.keys[key] = line
    return pairs


def _last(event: Any) -> int:
    """The line in which its text ends; 0 for the end of a block, which has none."""
    start, end = event.start_mark, event.end_mark
    if (start.line, start.column) == (end.line, end.column):
        return 0 if isinstance(event, MappingEndEvent | SequenceEndEvent) else int(start.line) + 1
    return int(end.line) + (1 if end.column else 0)


def _last_of(where: Where) -> int:
    """Of the last that is in it: those before end before."""
    return max([where.line, *(each.last for each in list(where.inside.values())[-1:])])


_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")


def _plain(event: Any) -> Any:
    """By the core schema of YAML 1.2: ``on`` and ``no`` are words."""
    text = str(event.value)
    if not event.implicit[0]:  # it is in quotes
        return text
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
