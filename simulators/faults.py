"""Trouble on order: a rule says which call breaks, how, how often and how late.

A simulator asks :meth:`Faults.strike` at each of its doors, naming the method (``VDI.create``,
``CreateSnapshot_Task``, ``GET /folder``, ``PUT /import_raw_vdi``) and the object (a name or id).
The ``action`` is a word that the door understands (each simulator's module documents its own):
``fault`` with a fault or error code, ``http`` with a status, ``drop`` closing the socket, ``delay``.
"""

import fnmatch
import random
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class FaultRule:
    """One kind of trouble.

    Attributes:
        method: the call that breaks; shell-style wildcards.
        object: name or id of what it is called on; shell-style wildcards.
        action: what happens, a word of the simulator that holds the rule.
        argument: what the action needs: a fault's name, a status, a byte position, ...
        probability: 0 to 1, per call.
        count: how many times at most; -1 is for ever.
        skip: how many matching calls pass unharmed first.
        delay: real seconds to wait before the call is answered (with any action).
    """

    method: str
    action: str = "delay"
    object: str = "*"
    argument: Any = None
    probability: float = 1.0
    count: int = 1
    skip: int = 0
    delay: float = 0.0
    struck: int = field(default=0, compare=False)

    def matches(self, method: str, obj: str) -> bool:
        """Whether this rule speaks of that call, however often it has struck."""
        return fnmatch.fnmatchcase(method, self.method) and fnmatch.fnmatchcase(obj, self.object)


class Faults:
    """The rules in force, first match wins. Safe to use from any thread."""

    def __init__(self, seed: int = 0) -> None:
        self._rules: list[FaultRule] = []
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311  reproducible trouble, not secrets

    def add(self, rule: FaultRule) -> FaultRule:
        """Put a rule in force."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        """All rules with how often each has struck."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def strike(self, method: str, obj: str = "") -> FaultRule | None:
        """The rule that breaks this call, if any; its delay has then been waited for."""
        with self._lock:
            rule = self._pick(method, obj)
        if rule is not None and rule.delay:
            time.sleep(rule.delay)
        return rule

    def _pick(self, method: str, obj: str) -> FaultRule | None:
        for rule in self._rules:
            if not rule.matches(method, obj) or rule.count == 0:
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if self._random.random() >= rule.probability:
                continue
            if rule.count > 0:
                rule.count -= 1
            rule.struck += 1
            return rule
        return None
