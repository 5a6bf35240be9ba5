"""The checks there are, and what becomes of what they say."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from checks.seen import Seen
from contracts.steps import Check

BLOCKER, WARNING, NOTE = "blocker", "warning", "note"

Looks = Callable[[Seen], Iterable[str]]
"""Yields a message for each thing it found: what, and where."""


@dataclass(frozen=True)
class Rule:
    """One check. ``overridable``: a request may say that it goes on all the same, and why."""

    code: str
    severity: str
    looks: Looks
    overridable: bool = False

    @property
    def group(self) -> str:
        """What it is about: the file that it stands in."""
        return self.looks.__module__.rpartition(".")[2].replace("_", " ")


CHECKS: dict[str, Rule] = {}
"""By code, in the order in which they are made."""


def check(code: str, severity: str, *, overridable: bool = False) -> Callable[[Looks], Looks]:
    """Make a function a check."""

    def register(looks: Looks) -> Looks:
        if code in CHECKS:
            raise ValueError(f"two checks have the code {code}")
        CHECKS[code] = Rule(code, severity, looks, overridable)
        return looks

    return register


def run_checks(seen: Seen, overrides: Mapping[str, str] | None = None) -> list[Check]:
    """All findings, blockers first, else in the order of the checks.

    Args:
        overrides: code to the reason why it shall not stop the migration. What may not be overridden, and what no
            check is called, is a blocker of its own: nobody should believe that a word had an effect that it has not.
    """
    reasons = overrides or {}
    found = [
        _said(rule, message, reasons.get(rule.code, "")) for rule in CHECKS.values() for message in rule.looks(seen)
    ]
    found += [
        Check(code="preflight.no_override", severity=BLOCKER, message=_no_override(code))
        for code, reason in reasons.items()
        if code not in CHECKS or not CHECKS[code].overridable or not reason.strip()
    ]
    order = (BLOCKER, WARNING, NOTE)
    return sorted(found, key=lambda each: order.index(each.severity))


def _said(rule: Rule, message: str, reason: str) -> Check:
    if not reason.strip() or not rule.overridable:
        return Check(code=rule.code, severity=rule.severity, message=message, overridable=rule.overridable)
    severity = WARNING if rule.severity == BLOCKER else rule.severity
    return Check(code=rule.code, severity=severity, message=message, overridable=True, override=reason)


def _no_override(code: str) -> str:
    if code not in CHECKS:
        return f"there is no check {code!r}"
    return f"{code} is overridden without a reason" if CHECKS[code].overridable else f"{code} cannot be overridden"
