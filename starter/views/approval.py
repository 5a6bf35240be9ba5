"""What an operator sees when asked: the facts, what it will cost, and what to type."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from starter.seen import Seen
from starter.views.deciding import decided
from starter.views.words import seconds, size


def approval_view(seen: Seen) -> RenderableType:
    """The facts that the ticket digests, a line each. Needs a status."""
    status = seen.status
    assert status is not None
    facts = [Text(f"  · {fact}") for fact in status.approval_facts]
    moved = f"{size(status.bytes_sent)} sent in {len(status.passes)} passes, {size(status.bytes_allocated)} allocated"
    return Padding(
        Group(
            Text("Waits for a human's yes to the cutover of:", style="bold"),
            *facts,
            Text(f"so far:             {moved}"),
            Text(f"predicted downtime: {seconds(status.predicted_downtime_s)}"),
            *([Text(f"proof of the target: {status.predicted_proof}")] if status.predicted_proof else []),
            Text("what then happens:  the source is shut down, the last delta is copied and proven, the target starts"),
            *[Text(line) for line in decided(status, datetime.now(UTC))],
            Text(f"approval ticket:    {status.approval_ticket}"),
        ),
        (1, 0, 0, 0),
    )
