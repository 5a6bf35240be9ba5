"""What all plain messages have in common: find the migration, send, print the answer."""

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.names import Message
from starter.output import Output, put

if TYPE_CHECKING:
    from pydantic import BaseModel
    from temporalio.client import Client

    from contracts.messages import Ack
    from starter.settings import Settings


def tell_workflow(
    message: Message, said: "BaseModel", *, vm: str, source: str | None, config: Path | None, output: Output
) -> None:
    """Send one update to the migration of a VM."""
    from starter.dialling import dial
    from starter.finding import workflow_of
    from starter.looking import look
    from starter.sending import answering, send

    async def work(client: "Client", settings: "Settings") -> "Ack":
        seen = await look(client, await workflow_of(client, settings, vm, source))
        answering(seen)
        return await send(client, seen.workflow, message, said)

    ack = dial(config, work)
    put(ack, output, lambda: f"{ack.message or message.value} (phase {ack.phase.value})")
