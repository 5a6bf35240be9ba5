"""Clocks that call a cutover back before the target is started (SAFETY 17): a window closes, a budget is used up."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

if TYPE_CHECKING:
    from workflows.story import Story


class CalledBack(Exception):
    """The cutover is undone, and tried again later. ``code``: why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Deadlines:
    """One clock a code. They ring once, and only before the call that starts the target."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._clocks: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, tuple[datetime, CalledBack]] = {}

    def set(self, at: datetime, code: str, message: str) -> None:
        """Call it back then. It takes the place of an earlier one of that code."""
        self.stop(code)
        self._due[code] = (at, CalledBack(code, message))
        self._clocks[code] = asyncio.create_task(self._ring(code))

    def stop(self, code: str) -> None:
        """Nothing is due by it any more."""
        self._due.pop(code, None)
        if clock := self._clocks.pop(code, None):
            clock.cancel()

    def leave_room_for(self, rest: timedelta) -> None:
        """Raises CalledBack where one rings before that time is over: better now than in the middle of it."""
        for at, back in self._due.values():
            if workflow.now() + rest > at:
                raise back

    def stop_all(self) -> None:
        """From here on nothing calls it back."""
        for code in list(self._clocks):
            self.stop(code)
        self._story.called_back = None

    async def _ring(self, code: str) -> None:
        at, back = self._due[code]
        left = at - workflow.now()
        if left.total_seconds() > 0:
            await workflow.sleep(left, summary=f"until {code}")
        self._story.called_back = self._story.called_back or back
