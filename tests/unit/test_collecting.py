"""What `ferry gc apply` sends to be removed."""

import pytest

from contracts.errors import FerryError
from contracts.leftovers import Leftover
from starter.collecting import chosen


def item(name, sort):
    return Leftover(id=name, system="vc", side="source", kind="mark", name="web01", sort=sort, owner="over")


ITEMS = [item(f"vc/{sort}", sort) for sort in ("leftover", "data", "ask", "living", "keep")]


def test_without_a_name_all_leftovers_go_and_nothing_else():
    assert [each.item.id for each in chosen(ITEMS, [], [])] == ["vc/leftover"]


def test_what_is_named_goes_and_nothing_else():
    [one] = chosen(ITEMS, ["vc/ask"], [])

    assert (one.item.id, one.named, one.data) == ("vc/ask", True, False)


def test_data_goes_only_where_it_is_named_as_data():
    with pytest.raises(FerryError, match=r"gc\.needs_yes"):
        chosen(ITEMS, ["vc/data"], [])

    [one] = chosen(ITEMS, [], ["vc/data"])
    assert (one.named, one.data) == (True, True)


@pytest.mark.parametrize(
    ("name", "code"), [("vc/living", "gc.owner_lives"), ("vc/keep", "gc.needs_yes"), ("vc/none", "gc.unknown_item")]
)
def test_what_must_not_go_is_refused_by_its_code(name, code):
    for ids, data in (([name], []), ([], [name])):
        with pytest.raises(FerryError) as refused:
            chosen(ITEMS, ids, data)
        assert refused.value.code == code
