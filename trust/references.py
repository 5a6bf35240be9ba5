"""Secrets by reference: ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/USER``, ``vault:PATH#FIELD``.

They are read each time they are asked for, so a corrected one counts at the next login. What is found is never told:
from here on every log line and error of this process is searched for it (:mod:`contracts.redaction`).
"""

import importlib
import logging
import os
import stat
from pathlib import Path

from contracts.errors import FerryError
from contracts.redaction import keep

MOST = 64 << 10
log = logging.getLogger("ferry.secrets")
_told_open: set[Path] = set()


def resolve(reference: str) -> str:
    """The secret that a reference leads to, as it is now.

    Raises:
        FerryError: ``config.secret_missing``, naming the reference and never what it holds; ``vault.refused``,
            ``vault.unreachable``.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = os.environ.get(name)
    elif kind == "file":
        found = _from_file(Path(name))
    elif kind == "keyring":
        found = _from_keyring(name)
    elif kind == "vault":
        from trust.vault import read  # only here: HTTP costs the command line a tenth of a second

        found = read(name)
    else:
        known = "env:NAME, file:PATH, keyring:SERVICE/USER or vault:PATH#FIELD"
        raise FerryError("config.secret_missing", f"a secret is named {known}")
    if not found:
        raise FerryError("config.secret_missing", f"{reference} leads to nothing")
    return keep(found)


def _from_file(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            _tell_if_open_to_all(file, os.fstat(opened.fileno()).st_mode)
            return opened.read(MOST).rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise FerryError("config.secret_missing", f"the file {file} cannot be read, or is not UTF-8") from None


def _tell_if_open_to_all(file: Path, mode: int) -> None:
    """A warning and no refusal: what Kubernetes and Docker mount as secrets is readable by all inside a container."""
    if mode & stat.S_IROTH and file not in _told_open:
        _told_open.add(file)
        log.warning("%s holds a secret and is readable by every user of this machine; mend it: chmod o= %s", file, file)


def _from_keyring(name: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise FerryError(
            "config.secret_missing", "keyring: needs the Python package of that name beside Ferry; or use file:"
        ) from None
    service, _, user = name.partition("/")
    try:
        found = keyring.get_password(service, user)
    except Exception as error:  # each backend has errors of its own; none may carry what it holds
        raise FerryError("config.secret_missing", f"the keyring does not open: {type(error).__name__}") from None
    return None if found is None else str(found)
