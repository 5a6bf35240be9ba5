"""Asking a migration for a test boot, and waiting for what comes of it."""

import asyncio

from temporalio.client import Client

from contracts.errors import FerryError
from contracts.names import Message
from contracts.test_boot import TestBoot, TestBootReport
from starter.looking import look
from starter.sending import answering, send

LOOK_EVERY = 1.0


async def boot(client: Client, workflow: str, said: TestBoot) -> TestBootReport:
    """Ask, and wait.

    Raises:
        FerryError: refused; or the migration ended in the middle of it.
    """
    known = len(answering(await look(client, workflow)).test_boots)
    await send(client, workflow, Message.TEST_BOOT, said)
    while True:
        seen = await look(client, workflow)
        if seen.over:
            raise FerryError("message.wrong_phase", f"the migration of {seen.vm} ended meanwhile: {seen.outcome}")
        if seen.status is not None and not seen.status.test_boot:
            boots = seen.status.test_boots
            if boots and (len(boots) > known or boots[-1].who == said.who):
                return boots[-1]
        await asyncio.sleep(LOOK_EVERY)
