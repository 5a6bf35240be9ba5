"""Sites: workers that reach what others do not, each site on task queues of its own."""

from typing import Annotated

from pydantic import Field

Site = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")]
"""Its name in ``[worker] site``; empty: the workers that name none."""


def queue_of(queue: str, site: str) -> str:
    """Where the activities of a site are: ``ferry@dc2``. Workflows stay where they are, as any worker can run them."""
    return f"{queue}@{site}" if site else queue
