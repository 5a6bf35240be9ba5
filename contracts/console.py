"""What a guest shows on its console, and what some of its texts mean (field.md 68)."""

import re

from pydantic import Field

from contracts.base import Contract

TAIL = 2048
"""Characters of text that a report has: it is kept in histories, and there may be fifty of them."""

_CONTROL = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)

DIAGNOSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("smoke.no_root_device", re.compile(r"dracut-initqueue.*time-?out|/dev/mapper/\S+ does not exist", re.I)),
    ("smoke.no_root_device", re.compile(r"ALERT!\s+\S+ does not exist|Gave up waiting for root", re.I)),
    ("smoke.no_root_device", re.compile(r"VFS: (?:Unable to mount root fs|Cannot open root device)", re.I)),
    ("smoke.no_boot_loader", re.compile(r"grub rescue>|error: no such device", re.I)),
    ("smoke.no_boot_device", re.compile(r"No bootable device|Boot failed: not a bootable disk", re.I)),
)
"""Code and text; the first of this table that is found counts."""


class Seen(Contract):
    """What one look at the console brought. ``note``: a code and why there is no more than this."""

    text: str = Field(default="", description="the last of it, where the pool gives it as text")
    picture: str = Field(default="", description="where in the store, where it gives a picture only")
    diagnosis: str = Field(default="", description="a code of the catalogue; empty: nothing known was read")
    note: str = ""


def plain(raw: bytes) -> str:
    """A terminal's bytes as lines of text, without control sequences."""
    lines = _CONTROL.sub("", raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return "\n".join(line.rstrip() for line in lines if line.strip())


def tail(text: str) -> str:
    """The last whole lines of it that fit into a report."""
    if len(text) <= TAIL:
        return text
    return text[-TAIL:].partition("\n")[2] or text[-TAIL:]


def diagnosed(text: str) -> str:
    """The code of what the text complains of; empty where it is nothing that we know."""
    return next((code for code, words in DIAGNOSES if words.search(text)), "")
