"""The file of an exported record, written and checked. Pure; a checker needs nothing but the file.

One canonical JSON value a line: ``header``, an ``entry`` each, the ``report`` where the migration is over, ``end``.
Every line follows from the others or is digested by one: whatever byte is changed, some line does not hold. What was
cut off together with a new end is only told by somebody who knows the head: it is in the report that
`ferry start --wait` and `ferry report` print, and in Temporal's history.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from contracts.record import GENESIS, Entry, Said, canonical, report_digest, sha256

FORMAT = "ferry-record/1"
LINE_MOST, LINES_MOST, DEPTH_MOST = 4 << 20, 1_000_000, 20
"""Bytes of a line, lines of a file, brackets in brackets: a file comes from anywhere."""
_HEADER_OF = ("migration", "workflow", "namespace", "source", "target", "vm")
_ENTRY = {"seq", "at", "kind", "said", "prev", "digest"}


class BrokenRecord(Exception):
    """The first line that does not hold. ``line`` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


@dataclass(frozen=True)
class Checked:
    """What a file that holds tells."""

    header: Said
    entries: int
    head: str
    outcome: str
    """Empty where the migration was not over when it was exported."""
    decisions: int
    bytes_sent: int


def written(entries: Sequence[Entry], report: Said | None) -> Iterator[bytes]:
    """The lines of the file.

    Args:
        report: as JSON has it, without what is as it is by default; None where it is not over.
    """
    plain = [entry.model_dump(include=_ENTRY) for entry in entries]
    yield _line(_header(plain[0]))
    for each in plain:
        yield _line({"entry": each})
    if report is not None:
        yield _line({"report": report})
    yield _line(_end(plain[-1]))


def check(file: BinaryIO) -> Checked:
    """Read it line by line.

    Raises:
        BrokenRecord: the first line that does not hold.
    """
    lines = _lines(file)
    header = _next(lines, "header")
    last: Said | None = None
    decisions = sent = 0
    number, kind, value = _first(lines, 1)
    while kind == "entry":
        _check_entry(number, value, last)
        if last is None and _header(value) != {"header": header}:
            raise BrokenRecord(1, "the header is not that of the first entry")
        last = value
        decisions += value["kind"] == "decision"
        if value["kind"] == "pass" and isinstance(value["said"].get("bytes_sent"), int):
            sent += value["said"]["bytes_sent"]
        number, kind, value = _first(lines, number)
    if last is None:
        raise BrokenRecord(number, "there is no entry")
    if last["kind"] == "ended":
        if kind != "report":
            raise BrokenRecord(number, "the report is missing")
        _check_report(number, value, last)
        number, kind, value = _first(lines, number)
    if kind != "end":
        raise BrokenRecord(number, "the end is missing" if not kind else f"{kind!r} has no place here")
    if {"end": value} != _end(last):
        raise BrokenRecord(number, "the end tells of other entries than are here")
    for number, _, _ in lines:
        raise BrokenRecord(number, "there is more after the end")
    outcome = str(last["said"].get("outcome", "")) if last["kind"] == "ended" else ""
    return Checked(header, last["seq"] + 1, last["digest"], outcome, decisions, sent)


def _header(first: Said) -> Said:
    said = first["said"] if isinstance(first.get("said"), dict) else {}
    return {"header": {"format": FORMAT, **{key: said.get(key, "") for key in _HEADER_OF}}}


def _end(last: Said) -> Said:
    return {"end": {"entries": last["seq"] + 1, "head": last["digest"], "over": last["kind"] == "ended"}}


def _line(value: Said) -> bytes:
    return canonical(value) + b"\n"


def _check_entry(number: int, entry: Any, last: Said | None) -> None:
    if not isinstance(entry, dict) or set(entry) != _ENTRY or not isinstance(entry["said"], dict):
        raise BrokenRecord(number, "it is no entry")
    wanted = 0 if last is None else last["seq"] + 1
    if entry["seq"] != wanted or isinstance(entry["seq"], bool):
        raise BrokenRecord(number, f"it is entry {entry['seq']!s:.20}, where entry {wanted} must follow")
    if sha256({key: value for key, value in entry.items() if key != "digest"}) != entry["digest"]:
        raise BrokenRecord(number, f"entry {wanted} is not what its digest says: it was changed")
    if entry["prev"] != (GENESIS if last is None else last["digest"]):
        raise BrokenRecord(number, f"entry {wanted} does not follow the one before it: one of them was changed")
    if last is not None and last["kind"] == "ended":
        raise BrokenRecord(number, "an entry after the last one")


def _check_report(number: int, report: Any, last: Said) -> None:
    if not isinstance(report, dict) or report_digest(report) != last["said"].get("report_sha256"):
        raise BrokenRecord(number, "the report is not the one that the last entry digests")
    if report.get("record_head") != last["digest"] or report.get("record_entries") != last["seq"] + 1:
        raise BrokenRecord(number, "the report names another last entry")


def _next(lines: Iterator[tuple[int, str, Any]], kind: str) -> Said:
    number, found, value = _first(lines)
    if found != kind or not isinstance(value, dict):
        raise BrokenRecord(number, f"the {kind} is missing")
    return value


def _first(lines: Iterator[tuple[int, str, Any]], before: int = 0) -> tuple[int, str, Any]:
    """The next line; one of no kind after the last."""
    return next(lines, (before + 1, "", None))


def _lines(file: BinaryIO) -> Iterator[tuple[int, str, Any]]:
    for number, line in enumerate(_raw_lines(file), start=1):
        if number > LINES_MOST:
            raise BrokenRecord(number, f"more than {LINES_MOST} lines")
        if len(line) > LINE_MOST:
            raise BrokenRecord(number, f"it is longer than {LINE_MOST} bytes")
        if not line.endswith(b"\n"):
            raise BrokenRecord(number, "it does not end")
        if _depth(line) > DEPTH_MOST:
            raise BrokenRecord(number, "it is nested too deep")
        try:
            plain = json.loads(line)
            same = canonical(plain) + b"\n" == line
        except (ValueError, RecursionError):
            raise BrokenRecord(number, "it is no JSON") from None
        if not same:
            raise BrokenRecord(number, "it is not written as Ferry writes it: it was changed")
        if not isinstance(plain, dict) or len(plain) != 1:
            raise BrokenRecord(number, "it is no line of a record")
        [(kind, value)] = plain.items()
        yield number, kind, value


def _raw_lines(file: BinaryIO) -> Iterable[bytes]:
    while line := file.readline(LINE_MOST + 1):
        yield line


def _depth(line: bytes) -> int:
    """Brackets in brackets, outside of texts."""
    depth = most = 0
    text = escaped = False
    for byte in line:
        if text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                text = False
        elif byte == 0x22:
            text = True
        elif byte in b"[{":
            depth += 1
            most = max(most, depth)
        elif byte in b"]}":
            depth -= 1
    return most
