"""docs/preflight.md, made from the checks and the catalogue."""

from itertools import groupby

from checks import CHECKS, Rule
from contracts.error_catalogue import entry

_HEAD = """# Preflight checks

Before anything is touched, `ferry start` looks at both sides, and `ferry assess` does so for a whole inventory. A
**blocker** stops the migration, a **warning** is part of what a human approves, a **note** is told. A check that says
so can be overridden in the request, with a reason that is recorded: `ferry start VM --override CODE=REASON`.

This page is made from `checks/` by `ferry explain --preflight > docs/preflight.md`; a test compares them, and
another makes the lab show each condition.
"""


def preflight_page() -> str:
    """A table of all, then a heading per code, grouped by what they look at."""
    parts = [_HEAD, "| check | severity | may be overridden |\n| --- | --- | --- |"]
    parts += [
        f"| [`{each.code}`](#{_anchor(each.code)}) | {each.severity} | {_yes(each)} |" for each in CHECKS.values()
    ]
    parts[1:] = ["\n".join(parts[1:]) + "\n"]
    for group, rules in groupby(CHECKS.values(), key=lambda each: each.group):
        parts.append(f"## {group.capitalize()}\n")
        parts += [_told(each) for each in rules]
    return "\n".join(parts)


def _told(rule: Rule) -> str:
    told = entry(rule.code)
    return f"""### `{rule.code}`

{rule.severity.capitalize()}. {told.meaning}

- **What to do:** {told.action}
- **Override:** {_yes(rule)}
"""


def _yes(rule: Rule) -> str:
    return "yes, with a reason" if rule.overridable else "no"


def _anchor(code: str) -> str:
    return code.replace(".", "").lower()
