"""Secrets by reference: ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/USER``. What is found is never logged."""

import importlib
import os
from pathlib import Path

from contracts.errors import FerryError

MOST = 64 << 10


def resolve(reference: str) -> str:
    """The secret that a reference leads to.

    Raises:
        FerryError: ``config.secret_missing``, naming the reference and never what it holds.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = os.environ.get(name)
    elif kind == "file":
        found = _from_file(Path(name))
    elif kind == "keyring":
        found = _from_keyring(name)
    else:
        raise FerryError("config.secret_missing", "a secret is named env:NAME, file:PATH or keyring:SERVICE/USER")
    if not found:
        raise FerryError("config.secret_missing", f"{reference} leads to nothing")
    return found


def _from_file(file: Path) -> str:
    try:
        with file.open() as opened:
            return opened.read(MOST).rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise FerryError("config.secret_missing", f"the file {file} cannot be read") from None


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
