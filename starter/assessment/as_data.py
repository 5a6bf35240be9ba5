"""An assessment as JSON and YAML show it."""

from typing import Any

from contracts.assessment import Assessment
from contracts.error_catalogue import entry
from contracts.steps import Check


def as_data(assessment: Assessment) -> dict[str, Any]:
    """All of it; each finding and each reason with what it means and what to do."""
    plain: dict[str, Any] = assessment.model_dump(mode="json", exclude={"machines"})
    for reason in plain["totals"]["reasons"]:
        reason.update(_told(reason["code"]))
    plain["machines"] = [
        {**row.model_dump(mode="json", exclude={"checks", "pinned"}), "checks": [_check(each) for each in row.checks]}
        for row in assessment.machines
    ]
    return plain


def _check(check: Check) -> dict[str, Any]:
    return {
        "code": check.code,
        "severity": check.severity,
        "message": check.message,
        "overridable": check.overridable,
        **_told(check.code),
    }


def _told(code: str) -> dict[str, str]:
    known = entry(code)
    return {"meaning": known.meaning, "remedy": known.action}
