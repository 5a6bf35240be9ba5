"""``make mutants``: each break in a copy of the project, and the tests that must catch it.

Ends 0 only if every break is caught: its tests pass without it and fail with it. A run of pytest that ends in any
other way (nothing collected, an import that fails) is no catch.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.breaks import BREAKS, ROOT, Break, where

PASSED, FAILED = 0, 1  # pytest's exit codes


def main() -> int:
    """0 when all are caught."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--rule", type=int, action="append", help="only of this rule of docs/safety.md")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    said = parser.parse_args()
    chosen = [each for each in BREAKS if said.rule is None or each.rule in said.rule]
    if not chosen:
        parser.error("no such rule has a break")
    with tempfile.TemporaryDirectory(prefix="ferry-mutants-") as folder:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(said.at_once):
            copies.put(copied(Path(folder) / str(number)))
        tests = sorted({test for each in chosen for test in each.tests})
        unbroken = copies.get()
        code, output = tested(unbroken, tests)
        copies.put(unbroken)
        if code != PASSED:
            print(output, "the tests do not pass without a break", sep="\n", file=sys.stderr)
            return 1

        def judge(each: Break) -> bool:
            copy = copies.get()
            try:
                return caught(copy, each)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(said.at_once) as pool:
            verdicts = list(pool.map(judge, chosen))
    print(f"{sum(verdicts)} of {len(verdicts)} breaks caught")
    return 0 if all(verdicts) else 1


def caught(copy: Path, each: Break) -> bool:
    """Break the copy, run the tests, mend it, and say what came of it."""
    file = copy / each.file
    whole = file.read_text()
    began = time.monotonic()
    try:
        file.write_text(broken(whole, each))
        code, output = tested(copy, each.tests)
    finally:
        file.write_text(whole)
    verdict = {FAILED: "caught", PASSED: "SURVIVED"}.get(code, f"NO VERDICT (pytest ended {code})")
    print(f"rule {each.rule:>2}  {verdict}  {each.what} ({each.file}, {time.monotonic() - began:.0f} s)", flush=True)
    if code not in (PASSED, FAILED):
        print(output, file=sys.stderr)
    return code == FAILED


def broken(whole: str, each: Break) -> str:
    """The file's text with the break in it.

    Raises:
        ValueError: the text to be broken is not there, or there twice.
    """
    if whole.count(each.before) != 1:
        raise ValueError(f"{each.file} has {whole.count(each.before)} times: {each.before!r}")
    return whole.replace(each.before, each.after)


def copied(folder: Path) -> Path:
    """The project as it is now, what is not committed too, without what Git ignores."""
    told = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, stdout=-1, check=True)
    for name in filter(None, told.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def tested(copy: Path, tests: tuple[str, ...] | list[str]) -> tuple[int, str]:
    """Exit code and output of those tests, with the code of the copy."""
    # No bytecode: a break of the same length within the same second would not be seen.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *map(where, tests)],
        cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return ended.returncode, ended.stdout


if __name__ == "__main__":
    sys.exit(main())
