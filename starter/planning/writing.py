"""The text of a plan: a new one, and an old one to which VMs and pins are added while all else stays as it is."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.plan import VERSION
from contracts.plan_seen import PlanSeen
from starter.planning.located import Problem
from starter.planning.reading import Draft, draft_of, lines_of, told

HEAD = "# yaml-language-server: $schema=plan.schema.json"
"""Editors then know every key. `ferry plan --schema` prints that file."""
_SEEN_HEAD = "# What `ferry plan` saw. It writes this part anew each time; what is above stays as you write it."
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_/-]*(\.[A-Za-z0-9_/-]+)*|[0-9]+[KMGT](iB)?|[0-9]+[dhms]")
_NO_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def word(text: str) -> str:
    """As YAML, in quotes where it could be taken for something else."""
    if _WORD.fullmatch(text) and text.lower() not in _NO_WORDS:
        return text
    return '"' + "".join(_escaped(sign) for sign in text) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def flow(value: Any) -> str:
    """Any plain data on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{word(str(key))}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(each) for each in value) + "]"
    if isinstance(value, str):
        return word(value)
    return json.dumps(value)


def member_lines(said: Mapping[str, Any], comment: str = "") -> list[str]:
    """One member: ``- vm: …`` and what else is said of it, a line each."""
    lines = [f"{key}: {flow(value)}" for key, value in said.items() if value not in ("", (), [], {}, None)]
    lines[0] += f"  # {''.join(sign if sign.isprintable() else '?' for sign in comment)}" if comment else ""
    return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]


def new_text(said: Mapping[str, Any], waves: Sequence[Mapping[str, Any]], members: Iterable[list[str]]) -> str:
    """A whole plan but for its pins.

    Args:
        said: the other keys, in their order.
        members: as :func:`member_lines` gives them.
    """
    lines = [HEAD, f"version: {VERSION}"]
    for key, value in said.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{key}:", *(f"  {word(str(inner))}: {flow(each)}" for inner, each in value.items())]
        elif value not in ({}, None):
            lines.append(f"{key}: {flow(value)}")
    lines += ["", "waves:  # cut over in this order"]
    lines += [f"  {line}" for wave in waves for line in member_lines(wave)]
    lines += ["", "members:  # after: VMs that must run on the target before it is cut over"]
    lines += [f"  {line}" for member in members for line in member]
    return "\n".join(lines) + "\n"


def seen_lines(seen: PlanSeen) -> list[str]:
    """JSON, which is YAML too; sorted, a disk a line, so that Git shows what changed."""
    plain = seen.model_dump(mode="json", exclude_defaults=True)
    lines = ["seen:", "  {", f'    "at": {_json(plain["at"])},', '    "targets": {']
    targets = sorted(plain.get("targets", {}).items())
    for number, (name, target) in enumerate(targets):
        srs = target.pop("srs", {})
        lines.append(f"      {_json(name)}: {{")
        lines += [f"        {_json(key)}: {_json(target[key])}," for key in target]
        lines.append('        "srs": {')
        lines += _joined(f"          {_json(key)}: {_json(srs[key])}" for key in sorted(srs))
        lines += ["        }", "      }" + ("," if number + 1 < len(targets) else "")]
    lines.append("    },")
    for section in ("limits", "bandwidth"):
        if said := plain.get(section):
            within = _joined(f"      {_json(key)}: {_json(said[key])}" for key in sorted(said))
            lines += [f'    "{section}": {{', *within, "    },"]
    lines.append('    "machines": {')
    machines = sorted(plain.get("machines", {}).items())
    for number, (name, machine) in enumerate(machines):
        lists = {key: machine.pop(key) for key in ("disks", "nics", "checks") if key in machine}
        lines.append(f"      {_json(name)}: {{")
        parts = [[f"        {_json(key)}: {_json(value)}"] for key, value in machine.items()]
        for key, values in lists.items():
            inner = _joined(f"          {_json(each)}" for each in values)
            parts.append([f"        {_json(key)}: [", *inner, "        ]"])
        for part in parts[:-1]:
            part[-1] += ","
        lines += [line for part in parts for line in part]
        lines.append("      }" + ("," if number + 1 < len(machines) else ""))
    return [*lines, "    }", "  }"]


def _joined(lines: Iterable[str]) -> list[str]:
    made = list(lines)
    return [f"{line}," for line in made[:-1]] + made[-1:]


def _json(value: Any) -> str:
    return re.sub(r"[^\x20-\x7e]", _json_escaped, json.dumps(value, ensure_ascii=False))


def _json_escaped(found: "re.Match[str]") -> str:
    """What YAML takes as it is stays so: a sign beyond U+FFFF would be two escapes in JSON, and two signs in YAML."""
    sign = found[0]
    return sign if sign.isprintable() or ord(sign) > 0xFFFF else json.dumps(sign)[1:-1]


def with_seen(text: str, region: tuple[int, int], seen: PlanSeen) -> str:
    """The lower part written anew, at its place or at the end."""
    lines, (start, end) = lines_of(text), region
    if end:
        return _text([*lines[:start], *_as_in(text, seen_lines(seen)), *lines[end:]])
    while lines and not lines[-1].strip():
        lines.pop()
    return _text([*lines, *_as_in(text, ["", _SEEN_HEAD, *seen_lines(seen)])])


def with_more(draft: Draft, waves: Sequence[Mapping[str, Any]], members: Sequence[list[str]]) -> Draft:
    """A plan with more waves and members at the end of its lists; nothing else of it is touched.

    Raises:
        FerryError: ``plan.invalid``: a list is written so that nothing can be put at its end.
    """
    text = draft.text
    for key, items in (("members", list(members)), ("waves", [member_lines(wave) for wave in waves])):
        if items:
            text = _appended(draft_of(draft.path, text), key, items)
    return draft_of(draft.path, text)


def _appended(draft: Draft, key: str, items: list[list[str]]) -> str:
    lines, place = lines_of(draft.text), draft.where.inside.get(key)
    line = draft.where.at(key)
    if place is None and key == "waves":
        first = draft.plan.waves[0].name  # that of the default, which holds no more once there is the key
        at, new = draft.where.at("members") - 1, ["waves:", *_indented([[f"- name: {word(first)}"], *items], 2)]
    elif place is not None and not place.inside and place.flow and _is_empty(key, lines[line - 1]):
        lines[line - 1 : line], at, new = [], line - 1, [f"{key}:", *_indented(items, 2)]
    elif place is not None and not place.flow and place.inside:
        at, new = place.last, _indented(items, place.column)
    else:
        raise told(draft.path, [Problem(line, f"{key}: write it a line an item (`- …`), so that more can be added")])
    return _text([*lines[:at], *_as_in(draft.text, new), *lines[at:]])


def _is_empty(key: str, line: str) -> bool:
    return re.fullmatch(rf"{key}:\s*\[\s*\]\s*", line) is not None


def _as_in(text: str, lines: list[str]) -> list[str]:
    """With the ends of lines that the rest of the file has."""
    return [line + "\r" for line in lines] if "\r\n" in text else lines


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _indented(items: Iterable[list[str]], columns: int) -> list[str]:
    return [" " * columns + line for item in items for line in item]


def default_path(fleet: str) -> Path:
    """Where a plan is written that nobody named a file for."""
    return Path(f"{fleet}.yaml")
