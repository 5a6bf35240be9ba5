"""When a delta is believed: the distrust list of the reference, one by one."""

import json
from types import SimpleNamespace

import pytest

from contracts.errors import FerryError
from disks.extents import Extent
from platforms.vsphere.changes import changed_areas
from platforms.vsphere.landmark import Landmark, distrust

THEN = Landmark("52 aa-bb/7", "6000C29x", 2000, 1 << 30, "[nfs1] web01/web01.vmdk")


def test_a_landmark_comes_back_from_its_word_as_it_was():
    assert Landmark.parse(THEN.word()) == THEN


def test_a_disk_that_is_not_tracked_has_no_word():
    assert THEN._replace(change_id="").word() == ""


def test_a_word_of_before_foreign_snapshots_were_noted_is_still_understood():
    assert Landmark.parse(json.dumps(list(THEN)[:5])) == THEN


@pytest.mark.parametrize("word", ["", "no json", "[1,2]", "{}", "null", '["a","b","c","d","e"]', "[1,2,3,4,5,6,7]"])
def test_a_word_that_cannot_be_read_leads_to_a_full_pass(word):
    with pytest.raises(FerryError) as told:
        Landmark.parse(word)

    assert told.value.code == "vsphere.change_tracking_unusable"


@pytest.mark.parametrize("number", [7, 8, 4000])
def test_a_later_change_id_of_the_same_disk_is_believed(number):
    assert distrust(THEN, THEN._replace(change_id=f"52 aa-bb/{number}")) == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"change_id": ""}, "no change id"),
        ({"change_id": "52 aa-cc/8"}, "reset"),
        ({"change_id": "52 aa-bb/6"}, "backwards"),
        ({"change_id": "nonsense"}, "form"),
        ({"change_id": "52 aa-bb/x"}, "form"),
        ({"backing_uuid": "6000C29y"}, "backing uuid"),
        ({"key": 2001}, "device key"),
        ({"capacity": 2 << 30}, "capacity"),
        ({"base": "[nfs2] web01/web01.vmdk"}, "moved"),
        ({"foreign": "snapshot-9"}, "not ours"),
    ],
)
def test_a_disk_that_is_not_what_it_was_is_not_believed(changed, reason):
    assert reason in distrust(THEN, THEN._replace(**changed))


def answers(*told):
    """A query that gives these answers: start of each, length, areas; and notes what it was asked."""
    by_start = {
        start: SimpleNamespace(
            startOffset=start,
            length=length,
            changedArea=[SimpleNamespace(start=first, length=size) for first, size in areas],
        )
        for start, length, areas in told
    }
    asked = []

    def query(start, change_id):
        asked.append(start)
        return by_start[start]

    return query, asked


def test_the_next_question_begins_where_the_answer_ends_and_never_at_the_capacity():
    query, asked = answers((0, 300, [(0, 100), (200, 100)]), (300, 700, [(900, 100)]))

    found = changed_areas(query, "x/1", 1000)

    assert found == [Extent(0, 100), Extent(200, 300), Extent(900, 1000)]
    assert asked == [0, 300]


def test_an_answer_that_runs_past_the_end_is_clipped_and_is_the_last():
    query, asked = answers((0, 4096, [(900, 512)]))

    assert changed_areas(query, "x/1", 1000) == [Extent(900, 1000)]
    assert asked == [0]


@pytest.mark.parametrize(
    "told",
    [
        (0, 0, []),  # would spin for ever
        (0, -1, []),
        (0, 1000, [(500, 10), (400, 10)]),  # not ascending
        (0, 1000, [(500, 10), (505, 10)]),  # overlapping
        (0, 1000, [(1000, 10)]),  # beyond the disk
        (0, 1000, [(500, 0)]),
    ],
)
def test_an_answer_that_is_nonsense_leads_to_a_full_pass(told):
    query, _ = answers(told)

    with pytest.raises(FerryError) as error:
        changed_areas(query, "x/1", 1000)

    assert error.value.code == "vsphere.change_tracking_unusable"


def test_an_answer_for_another_start_than_was_asked_leads_to_a_full_pass():
    with pytest.raises(FerryError, match="asked at 0"):
        changed_areas(lambda start, _: SimpleNamespace(startOffset=512, length=488, changedArea=[]), "x/1", 1000)
