"""How a secret is named where it must not be written."""

import re
from typing import Annotated

from pydantic import AfterValidator

_REFERENCES = {"env": r"[^=\0]+", "file": r".+", "keyring": r"[^/]+/.+", "vault": r"[^#]+#[^#]+"}


def reference(value: str) -> str:
    """What is told never shows the value: somebody may have written the secret itself."""
    kind, _, name = value.partition(":")
    if kind not in _REFERENCES or re.fullmatch(_REFERENCES[kind], name) is None:
        known = "env:NAME, file:PATH, keyring:SERVICE/USER or vault:PATH#FIELD"
        raise ValueError(f"name the secret as {known}; never write it here")
    return value


SecretRef = Annotated[str, AfterValidator(reference)]
