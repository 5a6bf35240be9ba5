"""docs/errors.md, made from the catalogue."""

from itertools import groupby

from contracts.error_catalogue import CATALOGUE
from contracts.errors import ErrorEntry

_REMEDIES = {
    "retry": "It is tried again by itself.",
    "redo": "That part is done again by itself.",
    "ask": "The migration waits for a human: `ferry retry VM` or `ferry cancel VM`.",
    "fail": "The migration ends, and the source is brought back.",
}

_HEAD = """# Error codes

Every refusal of Ferry names a code that never changes. `ferry explain CODE` prints what stands here.
This page is made from `contracts/error_catalogue.py` by `ferry explain --markdown > docs/errors.md`;
a test compares them.
"""


def errors_page() -> str:
    """The page, a heading per code, grouped by what comes before the dot."""
    parts = [_HEAD]
    for family, entries in groupby(CATALOGUE.values(), key=lambda each: each.code.partition(".")[0]):
        parts.append(f"## {family}\n")
        parts += [_entry(each) for each in entries]
    return "\n".join(parts)


def _entry(each: ErrorEntry) -> str:
    return f"""### `{each.code}`

{each.meaning}

- **What to do:** {each.action}
- **By itself:** {_REMEDIES[each.remedy.value]}
- **Exit code:** {int(each.exit_code)}
"""
