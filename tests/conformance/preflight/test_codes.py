"""Every check: the lab shows its condition, the preflight says its code, and nothing is touched."""

from functools import partial
from pathlib import Path

import pytest

from checks import CHECKS, Seen
from checks.pinning import pinned
from contracts.error_catalogue import CATALOGUE
from contracts.steps import SourceFacts
from starter.preflight_page import preflight_page
from tests.conformance.preflight import cases_files, cases_machine, cases_placement, cases_pool, cases_source, cases_vm
from tests.conformance.preflight.looking import Case, look
from tests.files.making import appliance

CASES = [
    *cases_files.CASES, *cases_machine.CASES, *cases_placement.CASES, *cases_pool.CASES, *cases_source.CASES,
    *cases_vm.CASES,
]  # fmt: skip
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_condition_is_told_by_its_code_and_nothing_is_touched(tmp_path: Path, case: Case) -> None:
    looked = await look(tmp_path, case)

    assert looked.codes.get(case.code) == CHECKS[case.code].severity
    assert looked.changes == ()


@pytest.mark.parametrize("code", CHECKS)
def test_every_check_has_a_case_and_says_what_to_do(code: str) -> None:
    assert code in {case.code for case in CASES}
    assert CATALOGUE[code].action


async def test_a_lab_without_trouble_has_nothing_said_against_it(tmp_path: Path) -> None:
    looked = await look(tmp_path, Case("nothing"))

    assert looked.codes == {}


async def test_of_an_ordinary_appliance_nothing_is_said_that_only_a_hypervisor_could_mend(tmp_path: Path) -> None:
    looked = await look(
        tmp_path, Case("nothing", files=partial(appliance, name="web01", boots="bios", firmware="bios"))
    )

    assert looked.codes == {"preflight.in_files": "warning"}
    seen = Seen(machine=looked.found.machine, source=SourceFacts(in_files=True))
    assert [disk.transport for disk in pinned(seen, ()).disks] == ["file"], "as a plan tells it"


def test_the_page_of_the_checks_is_made_from_them() -> None:
    page = (ROOT / "docs" / "preflight.md").read_text()

    assert page == preflight_page(), "run `ferry explain --preflight > docs/preflight.md`"
