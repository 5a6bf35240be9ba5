"""The same stories with the workflow cache off: every task replays all that came before (temporal.md §3.3).

Whatever the workflow keeps outside its history shows here. The fixture's override is all that differs.
"""

import pytest

from tests.workflows.test_migrate_vm import (  # noqa: F401  collected here once more
    test_a_cancel_before_the_start_brings_the_source_back,
    test_a_guest_that_does_not_shut_down_leaves_it_running_and_asks,
    test_a_human_decides_the_cutover_and_deltas_go_on_until_then,
    test_a_pause_cuts_the_pass_and_thaws_and_a_resume_goes_on,
    test_a_rollback_after_the_start_stops_the_target_before_the_source_comes_back,
    test_a_target_that_may_be_started_is_blocked_again_before_the_source_comes_back,
    test_what_a_human_must_mend_is_waited_for_and_then_tried_again,
)
from tests.workflows.test_record import (  # noqa: F401
    test_every_decision_command_and_byte_is_on_record,
)


@pytest.fixture
def cached_workflows() -> int:
    """None."""
    return 0
