"""Looking for secrets where they must not be: text in every spelling, and what is running, while it runs.

The spellings are this file's own, and not those of contracts/redaction.py, so that one oversight cannot hide on both
sides.
"""

import base64
import contextlib
import html
import json
import threading
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def forms(secret: str) -> dict[str, bytes]:
    """How a secret may be written, by the name of the spelling; base64 by what all texts around it have in common."""
    raw = secret.encode()
    found = {
        "raw": secret,
        "latin-1": secret,
        "quote": urllib.parse.quote(secret, safe=""),
        "quote, / kept": urllib.parse.quote(secret),
        "quote_plus": urllib.parse.quote_plus(secret),
        "quote, small": urllib.parse.quote(secret, safe="").lower(),
        "json": json.dumps(secret)[1:-1],
        "json, utf-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "json in json": json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "xml": secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "xml attribute": html.escape(secret),
        "xml, numeric": html.escape(secret).encode("ascii", "xmlcharrefreplace").decode(),
        "python": repr(secret)[1:-1],
        "python bytes": repr(raw)[2:-1],
        "python in json": json.dumps(repr(secret)[1:-1])[1:-1],
        "python in json, utf-8": json.dumps(repr(secret)[1:-1], ensure_ascii=False)[1:-1],
        "xml in json": json.dumps(html.escape(secret))[1:-1],
        "hex": raw.hex(),
    }
    spelt = {name: text.encode("latin-1" if name == "latin-1" else "utf-8") for name, text in found.items()}
    for offset in range(3):
        one = base64.b64encode(b"\x00" * offset + raw + b"\x00\x00\x00").rstrip(b"=")
        other = base64.b64encode(b"\xff" * offset + raw + b"\xff\xff\xff").rstrip(b"=")
        same = bytes(left if left == right else 0 for left, right in zip(one, other, strict=False))
        spelt[f"base64, {offset}"] = max(same.split(b"\0"), key=len)
        spelt[f"base64 for URLs, {offset}"] = spelt[f"base64, {offset}"].translate(bytes.maketrans(b"+/", b"-_"))
    return spelt


def found_in(content: bytes, secrets: Mapping[str, str]) -> list[str]:
    """``which secret (which spelling)`` for all that the content holds."""
    return [
        f"{name} ({spelling})"
        for name, secret in secrets.items()
        for spelling, form in forms(secret).items()
        if form in content
    ]


def found_under(folders: Iterable[Path], secrets: Mapping[str, str], but: Iterable[Path]) -> list[str]:
    """The same for each file below; ``but`` are the secrets' own files."""
    left_out = {each.resolve() for each in but}
    told = []
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.resolve() not in left_out:
                told += [f"{file}: {each}" for each in found_in(file.read_bytes(), secrets)]
    return told


class Watched:
    """The command lines of all processes, and what of them held a secret."""

    def __init__(self) -> None:
        self.lines: set[bytes] = set()


@contextmanager
def watching_command_lines() -> Iterator[Watched]:
    """Every process of this machine, looked at ten times a second, until the block ends."""
    seen, over = Watched(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    seen.lines.add((process / "cmdline").read_bytes())
            time.sleep(0.1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
