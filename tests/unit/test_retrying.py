"""Which ended migration can be gone on with."""

from datetime import UTC, datetime

import pytest

from contracts.errors import FerryError
from contracts.migration import Decision
from contracts.names import Phase
from contracts.steps import Errand
from contracts.told import Report
from starter.retrying import adopted_from
from starter.seen import Execution, Seen

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ERRAND = Errand(migration="m", workflow="migrate/vc/web01", source="vc", target="pool", vm="web01", store_id="s")


def ended(outcome, **more):
    report = Report(outcome=outcome, errand=ERRAND, epoch=3, pass_no=2, kept_vdis=("vdi",), **more)
    return Seen(
        workflow=ERRAND.workflow, run="r", execution=Execution.COMPLETED, phase=Phase.ROLLED_BACK, report=report
    )


def rolled_back(phase):
    return Decision(decision="rollback", who="ann", at=NOW, phase=phase)


@pytest.mark.parametrize("phase", [Phase.START, Phase.PROBATION])
def test_a_target_that_ran_is_refused_before_anything_begins(phase):
    with pytest.raises(FerryError, match="has run"):
        adopted_from(ended("rolled-back", decisions=(rolled_back(phase),)))


def test_so_is_one_that_was_refused_for_it_before():
    with pytest.raises(FerryError, match="has run"):
        adopted_from(ended("failed", error="target.diverged"))


def test_what_was_rolled_back_before_its_target_ran_is_gone_on_with():
    adopted = adopted_from(ended("rolled-back", decisions=(rolled_back(Phase.CUTOVER),)))

    assert (adopted.migration, adopted.pass_no) == ("m", 2)
