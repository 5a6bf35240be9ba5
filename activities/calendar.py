"""When a cutover may be. A step, though it reads nothing but a table of time zones: so the history holds the answer,
and a replay by a worker that has another table comes to the same."""

from temporalio import activity

from contracts.steps import CalendarAnswer, CalendarOrder
from contracts.windows import next_window


class CalendarActivities:
    """``next_window``."""

    @activity.defn
    async def next_window(self, order: CalendarOrder) -> CalendarAnswer:
        """The window that is open, or the next."""
        return CalendarAnswer(window=next_window(order.windows, order.after))
