"""Data on stdout as table, JSON or YAML; talk on stderr."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PIPE_WIDTH = 200
"""Columns where nobody's terminal sets them: what is piped into grep should not be folded."""


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def data_console() -> "Console":
    """stdout, for what was asked for."""
    return _console(stderr=False)


def talk_console() -> "Console":
    """stderr, for what is said about it."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    folded = stream.isatty() or "COLUMNS" in os.environ
    # Rich honours NO_COLOR itself. No markup and no highlighting: names of VMs may hold brackets.
    return Console(stderr=stderr, width=None if folded else _PIPE_WIDTH, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """One line of talk."""
    print(text, file=sys.stderr, flush=True)


def warn(code: str, message: str) -> None:
    """A warning with its code and what to do."""
    from contracts.error_catalogue import entry

    say(f"warning[{code}]: {message}\n  to do:   {entry(code).action}")


def put(data: Any, output: Output, table: "Callable[[], RenderableType]") -> None:
    """Write data in the form that was asked for.

    Args:
        data: models, mappings, sequences, numbers as they are (bytes, seconds): what JSON and YAML show.
        table: makes what people read.
    """
    if output is Output.TABLE:
        console = data_console()
        with console.capture() as captured:
            console.print(table())
        return write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    plain = as_plain(data)
    write((as_json(plain) if output is Output.JSON else as_yaml(plain)) + "\n")


def write(text: str) -> None:
    """Data to stdout. A reader that has left (``| head -1``) is no error: what it wanted it has."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_plain(data: Any) -> Any:
    """Models to what JSON knows."""
    if hasattr(data, "model_dump"):
        return data.model_dump(mode="json")
    if isinstance(data, Mapping):
        return {str(key): as_plain(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [as_plain(each) for each in data]
    if hasattr(data, "isoformat"):
        return data.isoformat()
    return data


def as_json(plain: Any) -> str:
    """Indented for people who pipe it nowhere."""
    return json.dumps(plain, indent=2, ensure_ascii=False)


def as_yaml(plain: Any) -> str:
    """YAML 1.2."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 4096  # a sentence stays on its line
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = StringIO()
    yaml.dump(plain, out)
    return out.getvalue().rstrip("\n")
