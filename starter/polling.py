"""Whether a worker polls a task queue: DescribeTaskQueue knows who did of late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from contracts.errors import FerryError
from contracts.names import QUEUE, TRANSFER_QUEUE
from contracts.sites import queue_of
from contracts.told import Report

FRESH = timedelta(seconds=75)
"""A poll lasts a minute, and the server notes its beginning: who is noted longer ago has died."""

_WORKFLOW, _ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


def queues_of(site: str) -> dict[str, tuple["TaskQueueType.ValueType", ...]]:
    """Every queue that a migration there needs, with the kinds of its tasks."""
    if not site:
        return {QUEUE: (_WORKFLOW, _ACTIVITY), TRANSFER_QUEUE: (_ACTIVITY,)}
    return {QUEUE: (_WORKFLOW,), queue_of(QUEUE, site): (_ACTIVITY,), queue_of(TRANSFER_QUEUE, site): (_ACTIVITY,)}


@dataclass(frozen=True)
class Polled:
    """Who polls a queue for all that it carries."""

    queue: str
    workers: tuple[str, ...]

    @property
    def line(self) -> str:
        """As a sentence."""
        if not self.workers:
            return f"no worker polls {self.queue!r}"
        return f"{len(self.workers)} worker{'s poll' if len(self.workers) > 1 else ' polls'} {self.queue!r}"


async def polled(client: Client, queue: str, site: str = "") -> Polled:
    """The workers that poll every kind of task of the queue."""
    seen: set[str] | None = None
    for kind in queues_of(site)[queue]:
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
            ),
            timeout=timedelta(seconds=5),
        )
        now = datetime.now(UTC)
        fresh = {
            poller.identity for poller in answer.pollers if now - poller.last_access_time.ToDatetime(tzinfo=UTC) < FRESH
        }
        seen = fresh if seen is None else seen & fresh
    return Polled(queue, tuple(sorted(seen or ())))


def needed(site: str) -> list[tuple[str, str]]:
    """Every queue that must be polled, and as whose: permits and notices are of no site."""
    return [(queue, "" if queue == QUEUE else site) for queue in queues_of(site)]


async def unpolled(client: Client, site: str = "") -> tuple[str, ...]:
    """The queues of ours that no worker polls."""
    seen = [await polled(client, *each) for each in needed(site)]
    return tuple(each.queue for each in seen if not each.workers)


async def need_workflows(client: Client) -> None:
    """Return where somebody takes workflows, of whatever site: a query of one is answered.

    Raises:
        FerryError: ``temporal.no_worker``.
    """
    answered = await polled(client, QUEUE, "any")
    if not answered.workers:
        raise FerryError("temporal.no_worker", answered.line)


def site_of(report: Report) -> str:
    """Whose workers did an ended migration."""
    return report.errand.site if report.errand is not None else ""


async def need_worker(client: Client, site: str = "") -> None:
    """Return where somebody takes workflows and their light activities.

    Raises:
        FerryError: ``temporal.no_worker``.
    """
    for queue in dict.fromkeys((QUEUE, queue_of(QUEUE, site))):
        answered = await polled(client, queue, site)
        if not answered.workers:
            raise FerryError("temporal.no_worker", answered.line)
