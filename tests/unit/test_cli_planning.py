"""`ferry plan` and `ferry apply` where nothing is looked at: a file checked offline, and words that do not fit."""

import json
from pathlib import Path

import pytest

from contracts.plan_seen import PinnedCheck
from starter.main import run
from starter.planning.reading import draft_of
from starter.planning.writing import with_seen
from tests.unit.test_plan_files import TEXT, seen, vm


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No ferry.toml, no Temporal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERRY_CONFIG", raising=False)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def written(text: str, *machines: object) -> None:
    """``spring.yaml`` with pins."""
    made = draft_of(Path("spring.yaml"), text)
    Path("spring.yaml").write_text(with_seen(text, made.region, seen(*machines)))


def test_a_plan_is_checked_offline_and_its_end_tells(capsys: pytest.CaptureFixture[str]) -> None:
    rdm = PinnedCheck(code="preflight.rdm_disk", severity="blocker")
    written(TEXT, vm(), vm("app 01"))
    assert run(["plan", "--check", "spring.yaml"]) == 0
    assert "copied while it runs, then off and over" in capsys.readouterr().out

    assert run(["plan", "--check", "-o", "spring.yaml", "--as", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["vm"], each["wave"], each["bytes"]) for each in told["members"]] == [
        ("db01", "pilot", 1 << 30), ("app 01", "rest", 1 << 30),
    ]  # fmt: skip

    written(TEXT, vm(), vm("app 01", checks=(rdm,)))
    assert run(["plan", "--check", "spring.yaml"]) == 4
    assert "blocked: app 01 (preflight.rdm_disk)" in capsys.readouterr().err
    assert run(["apply", "spring.yaml"]) == 4
    assert "spring.yaml:18: app 01: preflight.rdm_disk" in capsys.readouterr().err

    Path("spring.yaml").write_text(TEXT.replace("wave: rest", "wave: rset"))
    assert run(["plan", "--check", "spring.yaml"]) == 2
    assert "spring.yaml:19: app 01: there is no wave 'rset'" in capsys.readouterr().err

    Path("spring.yaml").write_text(TEXT)
    assert run(["apply", "spring.yaml"]) == 6, "nothing was pinned"
    assert "error[plan.not_looked]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan"], "say which VMs"),
        (["plan", "--check"], "--check takes the file"),
        (["plan", "--check", "none.yaml"], "cannot read none.yaml"),
        (["plan", "-o", "spring.yaml", "--sr", "x", "--at-once", "3"], "write what --sr, --at-once would say into it"),
        (["plan", "-o", "spring.yaml", "--site", "dc2"], "write what --site would say into it"),
        (["plan", "--from", "none.csv", "-o", "new.yaml"], "cannot read none.csv"),
        (["apply", "none.yaml"], "cannot read none.yaml"),
    ],
)
def test_words_that_do_not_fit_are_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spring.yaml").write_text(TEXT)
    assert run(words) == 2
    assert told in capsys.readouterr().err
    assert not Path("new.yaml").exists()


def test_a_site_of_the_environment_leaves_a_plan_that_is_there_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("spring.yaml").write_text(TEXT)
    monkeypatch.setenv("FERRY_SITE", "dc2")
    run(["plan", "-o", "spring.yaml"])
    assert "error[temporal.unreachable]" in capsys.readouterr().err, "it goes on, to a Temporal that is not there"


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "A plan of Ferry"


def test_who_waits_for_an_apply_is_told_how_many_wait_for_people_however_many_are_named() -> None:
    from contracts.fleet import FleetStatus, WaveStatus
    from starter.commands.applying import _line

    waves = (WaveStatus(name="1", asks=250, needs_human=150), WaveStatus(name="2", asks=50))
    named = tuple(f"vm{number}" for number in range(100))
    now = FleetStatus(fleet="spring", at_once=1, waves=waves, asks=named, needs_human=dict.fromkeys(named, "x"))
    assert _line(now) == "fleet spring: 300 wait for a yes, 150 need a human"
