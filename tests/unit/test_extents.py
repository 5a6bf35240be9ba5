"""The algebra of extents, checked against sets of bytes."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from disks.batches import batches
from disks.extents import Extent, after_position, aligned, clipped, merged, subtracted, total

SIZE = 400
any_extents = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(0, 60)).map(lambda pair: Extent(pair[0], min(SIZE, pair[0] + pair[1]))),
    max_size=12,
)
sorted_extents = any_extents.map(merged)


def bytes_of(extents):
    return {at for each in extents for at in range(each.start, each.end)}


@given(any_extents)
def test_merged_extents_hold_the_same_bytes_sorted_and_apart(extents):
    result = merged(extents)

    assert bytes_of(result) == bytes_of(extents)
    assert all(one.end < other.start for one, other in itertools.pairwise(result))
    assert total(result) == len(bytes_of(extents))


@given(any_extents, any_extents)
def test_subtracting_leaves_the_bytes_that_are_in_no_other(extents, others):
    result = subtracted(extents, others)

    assert bytes_of(result) == bytes_of(extents) - bytes_of(others)
    assert result == merged(result)


@given(any_extents, st.sampled_from([1, 8, 64]), st.integers(1, SIZE))
def test_aligning_covers_all_and_stays_inside_the_disk(extents, to, capacity):
    result = aligned(extents, to=to, capacity=capacity)

    assert bytes_of(result) >= {at for at in bytes_of(extents) if at < capacity}
    assert all(each.start % to == 0 and (each.end % to == 0 or each.end == capacity) for each in result)


@given(sorted_extents, st.integers(0, SIZE))
def test_after_a_position_the_first_bytes_are_left_out(extents, position):
    result = after_position(extents, position)

    assert sorted(bytes_of(result)) == sorted(bytes_of(extents))[position:]


@given(sorted_extents, st.integers(0, SIZE), st.integers(0, 60))
def test_clipping_keeps_what_lies_inside(extents, start, length):
    window = Extent(start, start + length)

    assert bytes_of(clipped(extents, window)) == bytes_of(extents) & set(range(start, start + length))


@given(sorted_extents, st.integers(0, SIZE), st.sampled_from([16, 48, 64]))
def test_batches_send_every_byte_after_the_position_once_and_in_order(extents, position, most):
    position = min(position, total(extents))

    result = list(batches(extents, block=16, capacity=SIZE, position=position, most=most))

    sent = [at for each in result for extent in each.send for at in range(extent.start, extent.end)]
    assert sent == sorted(bytes_of(extents))[position:]
    assert all(each.span.start % 16 == 0 and each.span.length <= most for each in result)
    assert all(clipped(each.send, each.span) == list(each.send) for each in result)
    assert [each.upto for each in result] == [
        position + sum(total(other.send) for other in result[: at + 1]) for at in range(len(result))
    ]
