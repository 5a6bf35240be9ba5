"""The breaks of ``make mutants`` fit the code and the rules; whether each is caught is for ``make mutants`` to say."""

import ast

import pytest

from tests.mutants.__main__ import broken
from tests.mutants.breaks import BREAKS, ROOT, named_tests, where


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: f"{each.rule} {each.what}")
def test_a_break_fits_the_code_and_its_tests_are_named_in_safety_md(each):
    ast.parse(broken((ROOT / each.file).read_text(), each))
    assert set(each.tests) <= named_tests()[each.rule]
    assert all(where(test) for test in each.tests)


def test_each_rule_that_has_a_test_has_a_break_and_the_others_say_that_they_wait():
    rules = named_tests()

    assert sorted(rules) == list(range(1, 23))
    assert {rule for rule, tests in rules.items() if tests} == {each.rule for each in BREAKS}


def test_a_break_that_no_longer_fits_is_told():
    with pytest.raises(ValueError, match="has 0 times"):
        broken("", BREAKS[0])
