"""What the demo says while it plays: on stderr, so that ``-o json`` stays one object on stdout."""

import sys
import time
from typing import TYPE_CHECKING

from starter.output import talk_console
from starter.views.words import bar, rate, share, size
from starter.watching import LINE_EVERY

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starter.seen import Seen


class Teller:
    """Lines with the time since the beginning; under them, on a terminal, one line that moves."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._console = talk_console()
        self._moving = self._console.status("…") if sys.stderr.isatty() else None
        self._phase, self._told = "", 0.0

    def __enter__(self) -> "Teller":
        if self._moving:
            self._moving.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._moving:
            self._moving.stop()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._console.print(f"{self.seconds:5.1f} s  {sentence}")

    def show(self, view: "RenderableType") -> None:
        """Something larger that stays."""
        self._console.print(view)

    def shown(self, seen: "Seen") -> None:
        """How far it is."""
        if self._moving:
            self._moving.update(moving_line(seen))
        elif seen.phase != self._phase or self.seconds - self._told >= LINE_EVERY:
            self._phase, self._told = seen.phase, self.seconds
            self.say(moving_line(seen))


def moving_line(seen: "Seen") -> str:
    """``initial-sync  scsi0:0 ████░░  42 %  …``."""
    disks = [
        f"{each.disk} {bar(each.done, each.total, 12)} {share(each.done, each.total):>5} {rate(each.rate)}"
        for each in seen.working
        if each.disk and each.total
    ]
    if not disks and seen.status is not None:
        disks = [f"{len(seen.status.passes)} passes, {size(seen.status.bytes_sent)} sent"]
    return "  ".join([seen.phase or "beginning", *disks])
