"""``ferry status fleet/NAME --watch`` at a terminal: what it draws, how it ends, and that Ctrl-C ends only that."""

import asyncio
import codecs
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.workflows.test_cli_against_temporal import FERRY_AT_A_TERMINAL, Shell
from tests.workflows.test_fleet import Fleet, fleet, some, soon

__all__ = ["fleet", "soon"]

ITS_OWN = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
"""The terminal is the program's, so that Ctrl-C is heard by nobody else."""
CTRL_C = b"\x03"
_ESCAPE = re.compile(r"\x1b\[(\?)?([\d;]*)([A-Za-z])")
_HALF = re.compile(r"\x1b(\[[?\d;]*)?$")


class Screen:
    """What a terminal shows of what was written to it: as much as rich's Live needs of one."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines: list[str] = [""]
        self.widest = self.row = self.column = 0
        self.drawn = 0
        """Times that a line was wiped: so it was drawn anew."""

    def write(self, text: str) -> None:
        at = 0
        for found in _ESCAPE.finditer(text):
            self._plain(text[at : found.start()])
            at = found.end()
            private, number, what = found.groups()
            if private or what == "m":
                continue
            many = int(number or 1)
            if what == "A":
                self.row = max(0, len(self.lines) - self.rows, self.row - many)
            elif what == "K":
                self.lines[self.row] = ""
                self.drawn += 1
            else:
                raise AssertionError(f"a terminal is told {found[0]!r}")
        self._plain(text[at:])

    def _plain(self, text: str) -> None:
        for character in text:
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            else:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
                self.column += 1
                self.widest = max(self.widest, self.column)

    @property
    def shown(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines[-self.rows :]).strip("\n")


class Watch:
    """`ferry` at a terminal of its own."""

    def __init__(self, process: asyncio.subprocess.Process, master: int, screen: Screen) -> None:
        self.process, self.screen = process, screen
        self._master, self._rest = master, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            read = os.read(self._master, 1 << 16)
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._master)
            return
        said = self._rest + self._decoder.decode(read)
        half = _HALF.search(said)
        cut = half.start() if half is not None else len(said)
        self._rest = said[cut:]
        self.screen.write(said[:cut])

    async def until(self, seen: Callable[[str], bool], seconds: float = 30) -> str:
        for _ in range(int(seconds / 0.05)):
            if seen(self.screen.shown):
                return self.screen.shown
            await asyncio.sleep(0.05)
        raise AssertionError(f"never shown:\n{self.screen.shown}")

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    async def ended(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), 30)
        await asyncio.sleep(0.2)
        return code


@asynccontextmanager
async def at_a_terminal(ferry: Shell, *arguments: str, columns: int = 100, rows: int = 40) -> AsyncIterator[Watch]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    size = {"TERM": "xterm", "LINES": str(rows), "COLUMNS": str(columns)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ITS_OWN + FERRY_AT_A_TERMINAL, *arguments, env={**ferry.environment, **size},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    watch = Watch(process, master, Screen(columns, rows))
    try:
        yield watch
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)


@pytest.fixture
def ferry(tmp_path: Path, fleet: Fleet) -> Shell:
    return Shell(tmp_path, fleet.client.service_client.config.target_host)


async def test_it_is_drawn_anew_until_the_fleet_has_ended_and_ends_with_its_exit_code(
    fleet: Fleet, ferry: Shell
) -> None:
    fleet.steps.bad, fleet.steps.hold_copies = {"bad"}, True
    await fleet.start(*some("bad", "a"), waves=[{"name": "1", "approval": "auto"}])
    name = fleet.source
    async with at_a_terminal(ferry, "status", f"fleet/{name}", "--watch") as watch:
        await watch.until(lambda shown: "1 initial-sync" in shown and "vm.unknown" in shown)
        fleet.steps.hold_copies = False

        assert await watch.ended() == 3

    shown = watch.screen.shown
    assert f"fleet {name}: over; 2 VMs: 1 done, 1 failed" in shown
    assert f"ferry report migrate/{name}/bad" in shown
    assert shown.count(f"fleet {name}:") == 1, "what was drawn before is wiped"
    assert "initial-sync" not in shown
    assert watch.screen.drawn > 5
    assert watch.screen.widest <= 100


async def test_it_shows_what_the_status_shows_as_much_as_has_room_and_ctrl_c_ends_the_watching_only(
    fleet: Fleet, ferry: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.steps.bad = {"bad"}
    waves = [{"name": "pilot"}, {"name": "rest", "approval": "auto"}]
    await fleet.start(*some("bad", "a", "b", wave="pilot"), *some("c", wave="rest"), waves=waves)
    await fleet.until(lambda seen: [each.phases.get("awaiting-approval") for each in seen.waves] == [2, 1])
    name = fleet.source
    monkeypatch.setattr("starter.output._PIPE_WIDTH", 100)
    plain = (await ferry("status", f"fleet/{name}")).out.strip("\n")
    assert f"    ferry fleet retry {name} --vm bad" in plain.splitlines()
    assert max(map(len, plain.splitlines())) <= 100

    async with at_a_terminal(ferry, "fleet", "status", name, "--watch", rows=16) as low:
        shown = await low.until(lambda shown: "lines more" in shown)
        low.press(CTRL_C)
        assert await low.ended() == 130
    more = len(plain.splitlines()) - 15
    assert shown.splitlines() == [
        *plain.splitlines()[:15],
        f"… {more} lines more: `ferry fleet status {name}` shows all",
    ]

    async with at_a_terminal(ferry, "status", f"fleet/{name}", "--watch") as watch:
        assert await watch.until(lambda shown: "approval: auto" in shown) == plain
        watch.press(CTRL_C)
        assert await watch.ended() == 130
    assert watch.screen.shown == f"the fleet goes on; watch it with `ferry fleet status {name} --watch`"
    assert "canceled" not in str((await fleet.handle.describe()).status).lower()
    assert (await fleet.status()).standing == {"running": 3, "failed": 1}
