"""Shared by all tests: the real Temporal server, and tools that must be there in CI."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest


def not_tested(told: str) -> NoReturn:
    """What the test takes is not to be had: it is skipped loudly; in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


def require_tool(name: str, package: str) -> str:
    """Where a program is."""
    return shutil.which(name) or not_tested(f"{name} is missing (Debian: {package}), so this is NOT tested")


LONG_FIRST = (
    "tests/fleets/", "test_cutover_over_weeks", "test_large_fleet", "tests/crash/", "tests/chaos/", "tests/end_to_end/",
    "tests/workflows/", "tests/conformance/",
)  # fmt: skip
"""Files that take a minute or more: begun last, one of them would keep three workers of four waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first; else as it was."""
    items.sort(
        key=lambda item: next((at for at, part in enumerate(LONG_FIRST) if part in item.nodeid), len(LONG_FIRST))
    )


@pytest.fixture(scope="session")
def temporal_cli() -> Path:
    """The Temporal program; without it nothing of worth can be tested, so its absence is a failure."""
    from starter.temporal_cli import find_temporal_cli

    return find_temporal_cli()


@pytest.fixture(scope="session")
def dev_server(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator["object"]:
    """A real, file-backed dev server for the whole session, with Ferry's search attributes."""
    import asyncio

    from starter.temporal_server import DevServer
    from tests.support import register_search_attributes

    with DevServer(tmp_path_factory.mktemp("temporal"), cli=temporal_cli) as server:
        asyncio.run(register_search_attributes(server.address))
        yield server


@pytest.fixture
async def temporal_client(dev_server: "object") -> "object":
    """A client as the worker has it."""
    from temporalio.client import Client
    from temporalio.contrib.pydantic import pydantic_data_converter

    return await Client.connect(dev_server.address, data_converter=pydantic_data_converter)  # type: ignore[attr-defined]


def pytest_unconfigure() -> None:
    """SDK 1.35 crashes the interpreter at exit now and then without a pause (temporal.md §7a)."""
    time.sleep(0.3)
