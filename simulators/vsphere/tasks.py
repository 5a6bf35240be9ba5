"""Tasks: they run in threads, show their progress, and vanish some ten minutes after their end."""

import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim, vmodl

from simulators.clock import Clock
from simulators.vsphere import soap

KEPT_FOR = 600.0


class Tasks:
    """All tasks by their moid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(100)
        self._infos: dict[str, Any] = {}
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()
        self._to_lose = self.lost = 0

    def lose(self, _: Any = None) -> bool:
        """On order: the record of the next task that begins is lost, while its work goes on."""
        self._to_lose += 1
        return True

    def forget(self) -> None:
        """The records of all, as at a restart of vpxd; what they do goes on."""
        with self._lock:
            self._infos.clear()

    def begin(self, method: str, entity: Any, work: Callable[[Callable[[int], None]], Any]) -> Any:
        """Start work in a thread; answers the task."""
        moid = f"task-{next(self._numbers)}"
        task = vim.Task(moid)
        info = soap.complete(
            vim.TaskInfo(
                key=moid, task=task, descriptionId=method, state="queued", queueTime=datetime.now(UTC),
                entity=entity, reason=soap.complete(vim.TaskReasonUser(userName="ferry")), cancelled=False,
                cancelable=False, eventChainId=1, progress=0,
            )
        )  # fmt: skip
        with self._lock:
            if self._to_lose:
                self._to_lose -= 1
                self.lost += 1
            else:
                self._infos[moid] = info

        def run() -> None:
            info.state, info.startTime = "running", datetime.now(UTC)
            try:
                info.result = work(lambda percent: setattr(info, "progress", percent))
                info.progress, info.state = 100, "success"
            except vmodl.MethodFault as error:
                info.error, info.state = error, "error"
            except Exception as error:
                info.error, info.state = soap.named_fault("SystemError", repr(error)), "error"
            info.completeTime = datetime.now(UTC)
            self._ended[moid] = self._clock.now()

        threading.Thread(target=run, daemon=True).start()
        return task

    def info(self, moid: str) -> Any:
        """A copy of the task's info; ManagedObjectNotFound when it is gone."""
        with self._lock:
            for each, at in list(self._ended.items()):
                if self._clock.now() - at > KEPT_FOR:
                    self._infos.pop(each, None)
                    self._ended.pop(each)
            found = self._infos.get(moid)
        if found is None:
            raise not_found(vim.Task(moid))
        return found

    def unended(self, entity: Any) -> list[Any]:
        """The tasks of an object that are under way: of ``recentTask``, what is of interest."""
        with self._lock:
            return [each.task for each in self._infos.values()
                    if each.entity is entity and each.state in ("queued", "running")]  # fmt: skip

    def known(self, moid: str) -> bool:
        """Whether the task is still there."""
        return moid in self._infos


def not_found(ref: Any) -> Any:
    """The fault of an object that is not there."""
    error = vmodl.fault.ManagedObjectNotFound(obj=ref)
    error.msg = f"The object {ref} has already been deleted or has not been completely created"
    return error
