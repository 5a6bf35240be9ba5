"""Whether addresses answer from this machine: their names, and a TCP connection; all at once, bounded in time."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

SECONDS = 2.0
NO_NAME = "its name leads to no address"
_SLOW = f"no answer within {SECONDS:.0f} s"
Answer = TypeVar("Answer")
Key = TypeVar("Key")


def reach(dials: Iterable[tuple[str, int]], within: float = SECONDS) -> dict[tuple[str, int], str]:
    """Host and port to why nobody answers there; empty where somebody does. Nothing is said to whoever answers.

    A resolver has no time-out of its own that could be set, so each dial has a thread that may be left behind.
    """
    works = {dial: partial(_tried, *dial, within) for dial in dict.fromkeys(dials)}
    return all_at_once(works, _SLOW, within + 0.5)


def all_at_once(works: Mapping[Key, Callable[[], Answer]], too_slow: Answer, within: float) -> dict[Key, Answer]:
    """The answer of each; ``too_slow`` for those that are not done in time, and whose threads are left behind."""
    answers: dict[Key, Answer] = {}

    def run(key: Key, work: Callable[[], Answer]) -> None:
        answers[key] = work()

    threads = [
        threading.Thread(target=run, args=(key, work), daemon=True, name="reaching") for key, work in works.items()
    ]
    deadline = time.monotonic() + within
    for each in threads:
        each.start()
    for each in threads:
        each.join(max(0.0, deadline - time.monotonic()))
    told = dict(answers)
    return {key: told.get(key, too_slow) for key in works}


def _tried(host: str, port: int, within: float) -> str:
    try:
        with socket.create_connection((host, port), within):
            return ""
    except socket.gaierror:
        return NO_NAME
    except TimeoutError:
        return _SLOW
    except OSError as error:
        return error.strerror or type(error).__name__
