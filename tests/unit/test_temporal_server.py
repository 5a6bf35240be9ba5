"""The Temporal dev server: what was told to it is there after whatever end, and `temporal` is found where it is."""

from pathlib import Path

import pytest
from temporalio.client import Client

from contracts.errors import FerryError
from starter import go_tools, temporal_cli
from starter.temporal_cli import find_temporal_cli
from starter.temporal_server import DevServer


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without `temporal`, Go, cache or network; the folder is its only PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TEMPORAL_CLI", raising=False)
    monkeypatch.setattr(temporal_cli, "_downloaded", lambda _: None)
    return path


def _program(path: Path, script: str = "true") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


async def _start(server: DevServer, workflow_id: str) -> None:
    client = await Client.connect(server.address)
    await client.start_workflow("Nobody", id=workflow_id, task_queue="nobody-polls")


async def _running(server: DevServer, workflow_id: str) -> bool:
    client = await Client.connect(server.address)
    described = await client.get_workflow_handle(workflow_id).describe()
    return described.status is not None and described.status.name == "RUNNING"


async def test_a_workflow_outlives_a_power_cut_of_its_server(tmp_path: Path, temporal_cli: Path) -> None:
    with DevServer(tmp_path / "server", cli=temporal_cli) as server:
        address = server.address
        await _start(server, "started-before-the-power-cut")

        server.kill()
        assert not server.running
        server.restart()

        assert server.address == address
        assert await _running(server, "started-before-the-power-cut")
    assert not server.running


async def test_a_workflow_outlives_an_orderly_restart_of_its_server(tmp_path: Path, temporal_cli: Path) -> None:
    with DevServer(tmp_path / "server", cli=temporal_cli) as server:
        await _start(server, "started-before-the-restart")

        server.restart()

        assert await _running(server, "started-before-the-restart")


def test_a_port_taken_meanwhile_is_given_up_for_another(tmp_path: Path, temporal_cli: Path) -> None:
    with DevServer(tmp_path / "one", cli=temporal_cli) as one:
        other = DevServer(tmp_path / "other", cli=temporal_cli)  # its port was free when it was chosen
        other.port = one.port

        with other:
            assert other.running
            assert other.port != one.port


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_with_the_log(tmp_path: Path, temporal_cli: Path) -> None:
    with DevServer(tmp_path / "one", cli=temporal_cli) as one:
        other = DevServer(tmp_path / "other", cli=temporal_cli, port=one.port)

        with pytest.raises(FerryError, match=r"(?s)temporal\.unreachable.*already in use"):
            other.start()

        assert not other.running


def test_the_program_that_is_named_wins_over_the_one_on_path(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(nowhere / "temporal")
    named = _program(nowhere.parent / "mine" / "temporal")
    monkeypatch.setenv("TEMPORAL_CLI", str(named))

    assert find_temporal_cli() == named


def test_a_named_program_that_is_not_there_is_an_error_and_never_replaced(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(nowhere / "temporal")
    monkeypatch.setenv("TEMPORAL_CLI", "/no/such/temporal")

    with pytest.raises(FerryError, match="/no/such/temporal"):
        find_temporal_cli()


def test_the_one_on_path_wins_over_the_cached_one(nowhere: Path) -> None:
    cached = _program(go_tools.cached_program("temporal"))
    assert find_temporal_cli() == cached

    on_path = _program(nowhere / "temporal")

    assert find_temporal_cli() == on_path


def test_where_go_is_there_it_is_built_from_the_pinned_module_and_then_cached(
    nowhere: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _program(nowhere / "go", 'echo "$@ in $PWD" >&2; /bin/cp "$0" "$GOBIN/temporal"')

    built = find_temporal_cli()

    told = capfd.readouterr().err
    assert built == go_tools.cached_program("temporal")
    assert f"install tool in {go_tools.TOOLS / 'temporal'}" in told
    assert "building temporal with Go" in told
    assert find_temporal_cli() == built
    assert capfd.readouterr().err == ""


def test_a_build_that_fails_leaves_nothing_that_looks_built(nowhere: Path) -> None:
    _program(nowhere / "go", 'echo half > "$GOBIN/temporal"; exit 1')

    with pytest.raises(FerryError, match=r"temporal\.no_server"):
        find_temporal_cli()

    assert list(go_tools.cached_program("temporal").parent.iterdir()) == []


def test_without_any_way_all_ways_are_told(nowhere: Path) -> None:
    with pytest.raises(FerryError) as told:
        find_temporal_cli()

    assert told.value.code == "temporal.no_server"
    for way in ("PATH", "TEMPORAL_CLI", "Go", "make setup"):
        assert way in told.value.message
