"""The worker as it ships, but that it writes down what it has in hand, and is killed where it was told to be.

``python -m tests.crash.worker_under_fire AIMS LOG --config ferry.toml``. AIMS is a JSON list of ``{"activity", "skip",
"within", "signal"}``. When that activity begins (for the first time after ``skip`` others, over all lives), SIGKILL
comes at ``within`` seconds, or when its work is done and its answer is not yet given; SIGSTOP at ``within`` seconds.
LOG gets a line for each begin and end; what began and did not end is what the kill hit.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import activity
from temporalio.client import Client

import worker
from contracts.config import TemporalConfig


class Fire(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Sees every activity begin and end."""

    def __init__(self, aims: Path, log: Path) -> None:
        self._aims: list[dict[str, Any]] = json.loads(aims.read_text())
        began = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        self._seen = [line["activity"] for line in began if line["event"] == "begin"]
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._lock = threading.Lock()

    def intercept_activity(
        self, next: temporalio.worker.ActivityInboundInterceptor
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Ours goes around the real one."""
        return _UnderFire(next, self)

    def begin(self, name: str) -> dict[str, Any] | None:
        """Note it; the aim that it meets, if any."""
        self.tell("begin", name)
        with self._lock:
            self._seen.append(name)
            for aim in self._aims:
                if aim["activity"] == name and self._seen.count(name) > aim["skip"]:
                    self._aims.remove(aim)
                    return aim
        return None

    def tell(self, event: str, name: str) -> None:
        """One line, in one write: it survives whatever comes."""
        info = activity.info()
        line = {"event": event, "activity": name, "id": f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}"}
        os.write(self._log, (json.dumps({**line, "at": time.time(), "pid": os.getpid()}) + "\n").encode())


class _UnderFire(temporalio.worker.ActivityInboundInterceptor):
    def __init__(self, next: temporalio.worker.ActivityInboundInterceptor, fire: Fire) -> None:
        super().__init__(next)
        self._fire = fire

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        aim = self._fire.begin(name)
        how = signal.Signals[aim.get("signal", "SIGKILL")] if aim is not None else None
        if aim is not None and how is not None:
            if aim["within"]:
                threading.Timer(aim["within"], os.kill, (os.getpid(), how)).start()
            else:
                os.kill(os.getpid(), how)
        try:
            return await super().execute_activity(input)
        finally:
            if how is signal.SIGKILL:
                os.kill(os.getpid(), how)  # the deed is done, and nobody will ever hear of it
            self._fire.tell("end", name)


def main() -> int:
    """The worker's own main, with a client that sees activities."""
    fire = Fire(Path(sys.argv.pop(1)), Path(sys.argv.pop(1)))
    connect = worker.connect

    async def connect_under_fire(config: TemporalConfig, **more: Any) -> Client:
        client = await connect(config, **more)
        return Client(**{**client.config(), "interceptors": [fire]})

    worker.connect = connect_under_fire
    return worker.main()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
