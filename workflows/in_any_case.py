"""What is done in any case, also when the workflow is cancelled meanwhile."""

import asyncio
from collections.abc import Awaitable


async def in_any_case(work: Awaitable[None]) -> None:
    """Also when the workflow is cancelled meanwhile: nothing of ours stays on the source."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
