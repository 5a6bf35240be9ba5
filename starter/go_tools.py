"""Programs built with Go from the pinned modules under ``tools/``, kept outside the clone and built once."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / "tools"
"""Only in a clone: an installed package has none."""


def cached_program(name: str) -> Path:
    """Where the program of ``tools/NAME`` is, once it was had: a folder per pinned version."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ferry" / f"{name}-{_version(TOOLS / name)}" / name


def build_with_go(name: str, *, takes: str) -> Path | None:
    """Build ``tools/NAME`` into the cache, or answer what is there; told on stderr, with how long it ``takes``.

    Returns:
        The program, or None where there is no Go, no clone, or the build fails (Go's own words are on stderr).
    """
    program, module, go = cached_program(name), TOOLS / name, shutil.which("go")
    if program.exists():
        return program
    if go is None or not (module / "go.mod").exists():
        return None
    say(f"building {name} with Go: {takes}, once …")
    program.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    # Two builds at once, or one that is cut, must not leave half a program: it is moved in when it is whole.
    with tempfile.TemporaryDirectory(prefix=".building-", dir=program.parent) as aside:
        built = subprocess.run(
            [go, "install", "." if any(module.glob("*.go")) else "tool"],
            cwd=module,
            # The pinned versions or none: go.mod is not for a build to rewrite, whatever the user's GOFLAGS are.
            env={**os.environ, "GOBIN": aside, "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            stdout=2,  # not sys.stderr, which may be no file
            check=False,
        )
        if built.returncode or not (Path(aside) / name).exists():
            say(f"… go install ended with {built.returncode}")
            return None
        (Path(aside) / name).replace(program)
    say(f"… built in {time.monotonic() - began:.0f} s: {program}")
    return program


def say(text: str) -> None:
    """Talk goes to stderr: stdout is for data."""
    print(text, file=sys.stderr, flush=True)


def _version(module: Path) -> str:
    """Twelve hex digits of what the program is made from: the pinned modules and its own code."""
    parts = [module / "go.sum", *sorted(module.glob("*.go"))]
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts if part.exists())).hexdigest()[:12]


if __name__ == "__main__":  # `make test` has them built before anything with a time limit asks for them
    for each in sys.argv[1:]:
        build_with_go(each, takes="a minute or two")
