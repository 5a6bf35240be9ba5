"""``host= user= vm= sr= network=``: the words of `xo-cli vm.importFromEsxi`, as people's scripts have them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.errors import FerryError

KNOWN = ("vm", "host", "user", "sr", "network", "source", "target", "sslVerify")
_NEVER = ("password", "passwd", "pwd", "pass")
SAY_IT_SO = (
    "never a password on a command line, where the process list and the shell's history show it: write "
    'password = "env:VC_PASSWORD" (or "file:PATH") under that source in ferry.toml, and set it for the worker'
)


@dataclass(frozen=True)
class XoWords:
    """What was said. ``networks``: all of the VM's networks by ``*``, or each by its name."""

    vm: str = ""
    host: str = ""
    user: str = ""
    sr: str = ""
    source: str = ""
    target: str = ""
    networks: dict[str, str] = field(default_factory=dict)


def understood(words: Sequence[str]) -> XoWords:
    """One bare word is the VM; all else is ``key=value``.

    Raises:
        FerryError: ``request.invalid``, which never repeats a password.
    """
    said: dict[str, str] = {}
    networks: dict[str, str] = {}
    for word in words:
        key, is_pair, value = word.partition("=")
        if not is_pair:
            key, value = "vm", word
        if key.lower() in _NEVER:
            raise FerryError("request.invalid", f"{key}=: {SAY_IT_SO}")
        if key not in KNOWN:
            raise FerryError("request.invalid", f"{key}= is not known here; known are {', '.join(KNOWN)}")
        if not value.strip():
            raise FerryError("request.invalid", f"{key}= says nothing")
        if key == "network":
            name, is_mapping, counterpart = value.rpartition("=")
            networks[name if is_mapping else "*"] = counterpart
        elif key == "sslVerify":
            _see_that_it_verifies(value)
        elif key in said:
            raise FerryError("request.invalid", f"{key} is said twice: {said[key]!r} and {value!r}")
        else:
            said[key] = value
    if "vm" not in said:
        raise FerryError("request.invalid", "which VM? `ferry start NAME`, or vm=NAME")
    return XoWords(**said, networks=networks)


def _see_that_it_verifies(value: str) -> None:
    if value.lower() not in ("true", "1", "yes"):
        raise FerryError(
            "request.invalid",
            "sslVerify=false: trust is the worker's affair; name the certificate by ca_file or tls_sha256 under that "
            "source in ferry.toml, or write insecure = true there",
        )
