"""A plan's file: the upper part is people's, YAML as they like it; the lower one, ``seen:``, is ours, and JSON.

So the upper part stays as it is to the last blank, whatever is pinned below, and 10,000 pins are read in a second.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.errors import FerryError
from contracts.plan import Plan
from contracts.plan_seen import PlanSeen
from starter.planning.located import Malformed, Problem, Where, located

MOST_BYTES = 64 << 20
"""Of a file; 10,000 members with their pins are some 10 MiB."""
MOST_TOLD = 50
"""Problems that are told at once."""
_ODD = re.compile(r"[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)")
_SEEN = re.compile(r"seen[ \t]*:(?=\s|$)")


@dataclass
class Draft:
    """A plan as it was read. ``region``: the lines (from 0, end excluded) of its lower part; empty: it has none."""

    path: Path
    text: str
    plan: Plan
    where: Where
    region: tuple[int, int] = (0, 0)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, number: int, *path: str | int) -> int:
        """Of a member."""
        return self.where.at("members", number, *path)


def read_plan(path: Path) -> Draft:
    """Read it, and check its form.

    Raises:
        FerryError: ``plan.invalid``, with the line of all that is wrong; ``request.invalid`` where it is not there.
    """
    return draft_of(path, text_of(path))


def text_of(path: Path) -> str:
    """What is in the file, bounded.

    Raises:
        FerryError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FerryError("request.invalid", f"cannot read {path}: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise FerryError("plan.invalid", f"{path} is larger than {MOST_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FerryError("plan.invalid", f"{path}:{line}: it is not UTF-8") from None


def draft_of(path: Path, text: str) -> Draft:
    """The same, from its text."""
    try:
        if odd := _ODD.search(text):
            line = text[: odd.start()].count("\n") + 1
            raise Malformed(Problem(line, f"the sign U+{ord(odd[0]):04X} ends a line here and not there: take it out"))
        region = seen_region(text)
        said, where, seen = _parts(text, region)
    except Malformed as error:
        raise told(path, [error.problem]) from None
    try:
        plan = Plan.model_validate({**said, "seen": seen})
    except ValidationError as error:
        raise told(path, [_problem(each, where) for each in error.errors()]) from None
    return Draft(path, text, plan, where, region)


def told(path: Path, problems: list[Problem]) -> FerryError:
    """All of it, a line each, as compilers do: editors jump there."""
    problems = sorted(problems, key=lambda each: each.line)
    lines = [f"{path}:{each.line}: {each.message}" for each in problems[:MOST_TOLD]]
    if len(problems) > MOST_TOLD:
        lines.append(f"… and {len(problems) - MOST_TOLD} more")
    return FerryError("plan.invalid", lines[0] if len(lines) == 1 else "\n  ".join(["", *lines]))


def lines_of(text: str) -> list[str]:
    """Without their ends; a line of Windows keeps its CR, so that it is written back as it was."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def seen_region(text: str) -> tuple[int, int]:
    """The lines of ``seen:`` and of what is indented below it.

    Raises:
        Malformed: it is there twice.
    """
    lines = lines_of(text)
    starts = [number for number, line in enumerate(lines) if _SEEN.match(line)]
    if len(starts) > 1:
        raise Malformed(Problem(starts[1] + 1, f"'seen' is there twice, first in line {starts[0] + 1}"))
    if not starts:
        return 0, 0
    end = starts[0] + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " \t"):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return starts[0], end


def _parts(text: str, region: tuple[int, int]) -> tuple[dict[str, Any], Where, PlanSeen | None]:
    lines, (start, end) = lines_of(text), region
    said, where = located("\n".join([*lines[:start], *[""] * (end - start), *lines[end:]]))
    if said is None or not isinstance(said, dict):
        raise Malformed(Problem(where.line, "a plan begins with `version: 1`; `ferry plan` writes one"))
    return said, where, _seen("\n".join(lines[start:end]), start) if end else None


def _seen(text: str, before: int) -> PlanSeen:
    """JSON as we write it; any YAML of the same content does, too.

    Raises:
        Malformed: neither.
    """
    try:
        said = json.loads(text.partition(":")[2], object_pairs_hook=_once)
    except (ValueError, RecursionError):
        try:
            whole, _ = located(text)
        except Malformed as error:
            raise Malformed(Problem(error.problem.line + before, error.problem.message)) from None
        if not isinstance(whole, dict) or "seen" not in whole:
            raise Malformed(Problem(before + 1, "seen: it is no mapping (`ferry plan` writes it anew)")) from None
        said = whole["seen"]
    try:
        return PlanSeen.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"seen.{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise Malformed(
            Problem(before + 1, f"{what} (`ferry plan` writes this part anew: take it out where it was damaged)")
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is there twice")
    return made


def _problem(error: Any, where: Where) -> Problem:
    path = [step for step in error["loc"] if isinstance(step, str | int)]
    named = ".".join(str(step) for step in path if isinstance(step, str)) or "the plan"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "there is no such key"
    if error["type"] == "string_type":
        message = "it is a text: write it in quotes"
    return Problem(where.at(*path), f"{named}: {message}")
