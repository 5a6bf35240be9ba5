"""The power-off ladder: ask the guest, wait, switch off hard where the policy allows it. Each rung has its deadline.

A guest that does not answer in time may still shut down later: :meth:`PoweringOff.source_goes_off` waits for that.
"""

import threading
import time
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.running import cuttable, in_thread
from activities.systems import Systems
from contracts.errors import FerryError
from contracts.machine import OwnerMark, Power
from contracts.steps import Asked, PoweredOff, PowerOffOrder, SourceOrder
from platforms.ports import Source

POLL = 1.0
"""Seconds between two looks at the power."""
WATCH = 5.0
"""The same, while a human is waited for: for days, perhaps."""


class PoweringOff:
    """``power_off_source`` and what may come after it."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def power_off_source(self, order: PowerOffOrder) -> PoweredOff:
        """Climb the ladder. When the guest was asked is kept in the heartbeat: a next attempt waits for the rest only.

        A cancel is heard when the climb is over: a guest that was asked may go off at any time, and one that were
        brought back before that would go off for good.
        """
        details = activity.info().heartbeat_details
        asked = Asked.model_validate(details[0]) if details else Asked()
        ladder = Ladder(self._systems.source(order.errand.source), order, asked)
        return await in_thread(ladder.climb, pool=self._systems.pool, details=lambda: ladder.asked)

    @activity.defn
    async def source_goes_off(self, order: SourceOrder) -> bool:
        """Wait until the source is off: True; until it is cut: whether it is by then."""
        source = self._systems.source(order.errand.source)

        def wait(cut: threading.Event) -> bool:
            while source.power(order.errand.machine_id) is not Power.OFF:
                if cut.wait(WATCH):  # whoever shut it down by hand says retry at once, before the next look
                    return source.power(order.errand.machine_id) is Power.OFF
            return True

        return await cuttable(wait, pool=self._systems.pool, details=lambda: order.errand)


class Ladder:
    """One climb. ``asked``: when the guest was asked, once it was."""

    def __init__(self, source: Source, order: PowerOffOrder, asked: Asked) -> None:
        self._source, self._order, self.asked = source, order, asked

    def climb(self) -> PoweredOff:
        """Raises ``source.shutdown_timeout``, ``source.power_off_timeout``, ``preflight.free_licence_running``."""
        order, machine = self._order, self._order.errand.machine_id
        mark = order.errand.mark(order.epoch)
        if self._is_off():
            return PoweredOff(at=datetime.now(UTC), how="guest" if self.asked.at is not None else "already")
        if order.errand.read_only:
            raise FerryError(
                "preflight.free_licence_running", f"{order.errand.vm} was switched on, and had to stay off"
            )
        if order.policy != "hard":
            reason = self._ask_the_guest(mark)
            if not reason:
                return PoweredOff(at=datetime.now(UTC), how="guest")
            if order.policy == "guest-then-ask":
                raise FerryError("source.shutdown_timeout", reason)
        self._source.power_off(machine, mark)
        if not self._off_within(order.deadline, datetime.now(UTC)):
            told = f"it was switched off hard, and is not off after {order.deadline.total_seconds():.0f} s"
            raise FerryError("source.power_off_timeout", told)
        return PoweredOff(at=datetime.now(UTC), how="hard")

    def _ask_the_guest(self, mark: OwnerMark) -> str:
        """Empty when it is off, else why it is not. A guest that cannot be asked is not waited for."""
        patience = self._order.patience
        if self.asked.at is None:
            try:
                self._source.shut_down_guest(self._order.errand.machine_id, mark)
            except FerryError as error:
                if error.code != "preflight.tools_not_running":
                    raise
                return "VMware Tools do not answer, so the guest could not be asked"
            self.asked = Asked(at=datetime.now(UTC))
        assert self.asked.at is not None
        if self._off_within(patience, self.asked.at):
            return ""
        return f"the guest did not shut down within {patience.total_seconds():.0f} s"

    def _off_within(self, patience: timedelta, since: datetime) -> bool:
        while not self._is_off():
            if datetime.now(UTC) - since >= patience:
                return False
            time.sleep(POLL)
        return True

    def _is_off(self) -> bool:
        return self._source.power(self._order.errand.machine_id) is Power.OFF
