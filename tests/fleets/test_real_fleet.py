"""Real small machines in waves: dependencies, limits, a window, two that do not come through, a killed worker, a killed
server; judged by the lab."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from starter.temporal_server import DevServer
from tests.end_to_end.running import programs
from tests.fleets.foreseeing import compared
from tests.fleets.inventory import write
from tests.fleets.judging import judge
from tests.fleets.playing import Played, play


def moved(
    folder: Path, count: int, *, at_once: int, window_in: timedelta, seconds: float, delta_interval: str = "20s"
) -> tuple[Played, list[dict[str, Any]]]:
    """The fleet as it was played, and beside it as it was foreseen; raises AssertionError with all that is wrong."""
    made = write(folder, count, at_once=at_once, window_in=window_in, delta_interval=delta_interval)
    with DevServer(folder / "temporal") as server, programs(folder, server.address) as running:
        played = play(folder, running, server, made, seconds)
        assert judge(running, made, played) == []
    return played, compared(made, played)


@pytest.mark.timeout(900)
def test_twenty_machines_in_four_waves(tmp_path: Path) -> None:
    print(json.dumps(moved(tmp_path, 20, at_once=4, window_in=timedelta(seconds=60), seconds=600)[1]))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hundred_machines_in_four_waves(tmp_path: Path) -> None:
    played, waves = moved(tmp_path, 200, at_once=12, window_in=timedelta(minutes=5), seconds=3000, delta_interval="10m")
    runs = [run for each in played.histories.values() for run in each]
    fleet = played.histories["fleet/lab200"]
    members = [run for name, each in played.histories.items() if name.startswith("migrate/") for run in each]
    told = {
        "machines": 200, "seconds": round(played.seconds), "most_events_of_a_run": max(events for events, _ in runs),
        "most_bytes_of_a_run": max(size for _, size in runs), "runs_of_the_fleet": len(fleet),
        "events_a_machine": round(sum(events for events, _ in members) / 200),
        "bytes_a_machine": round(sum(size for _, size in members) / 200),
        "fleet_events_a_machine": round(sum(events for events, _ in fleet) / 200), "waves": waves,
    }  # fmt: skip
    print(json.dumps(told))
