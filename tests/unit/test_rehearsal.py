"""A plan played through on paper: what is short shows, and what cannot be is told with its reason."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bandwidth import parse_bandwidth
from contracts.fleet import MigrateFleetRequest
from fleets.rehearsal.calendar import Rehearsed
from fleets.rehearsal.given import Given, Holds, Rates
from fleets.rehearsal.loop import rehearse
from fleets.rehearsal.pipe import Pipe
from starter.main import run
from starter.planning.rehearsing import Asked, given_of
from starter.planning.writing import with_seen
from tests.unit.rehearsed import plan_of

MIB, GIB = 1 << 20, 1 << 30
MONDAY = datetime(2026, 12, 7, 8, tzinfo=UTC)
RATES = Rates(alone=100 * MIB, together=100 * MIB, changes=0.0, preparing=0.0, beside=0.0)


def played(*members: dict[str, Any], holds: dict[str, Holds] | None = None, **more: Any) -> Rehearsed:
    """By default of 100 GiB each, which take 1,024 seconds alone."""
    keys = ("rates", "starts", "answer", "fails", "limits")
    rest = {key: more.pop(key) for key in keys if key in more}
    defaults = {"source": "vc", "target": "pool", "delta_interval": "1h", "downtime_budget": "5m",
                **more.pop("defaults", {})}  # fmt: skip
    waves = more.pop("waves", [{"name": "1", "approval": "auto"}])
    request = MigrateFleetRequest.model_validate(
        {"fleet": "f", "defaults": defaults, "members": members, "waves": waves, **more}
    )
    sizes = {each["vm"]: Holds(100 * GIB) for each in members} | (holds or {})
    return rehearse(Given(request, sizes, rest.pop("rates", RATES), rest.pop("starts", MONDAY), **rest))


def test_what_is_copied_at_once_shares_what_there_is() -> None:
    one, four = played({"vm": "a"}), played(*({"vm": f"v{number}"} for number in range(4)))
    assert one.ends is not None
    assert four.ends is not None
    assert (four.ends - MONDAY) > 3.5 * (one.ends - MONDAY)
    assert four.peaks["copied at once"].most == 4


def test_turns_are_kept_and_a_wave_waits_for_the_one_before_it() -> None:
    told = played(*({"vm": f"v{number}", "wave": str(1 + number // 3)} for number in range(6)), at_once=2,
                  waves=[{"name": "1", "approval": "auto"}, {"name": "2", "approval": "auto"}])  # fmt: skip
    assert told.peaks["copied at once"].most == 2
    first, second = told.waves
    assert first.ends is not None
    assert second.first_cutover is not None
    assert second.first_cutover >= first.ends
    assert (second.begins or first.ends) < first.ends, "copies do not wait"


def test_a_cutover_waits_for_its_window_and_people_take_their_time() -> None:
    night = played({"vm": "a"}, defaults={"windows": ["Sat 22:00-02:00 UTC"]})
    assert night.waves[0].first_cutover == datetime(2026, 12, 12, 22, tzinfo=UTC)
    slow = played({"vm": "a"}, waves=[{"name": "1"}], answer=timedelta(hours=5))
    quick = played({"vm": "a"}, waves=[{"name": "1"}])
    assert slow.waves[0].first_cutover is not None
    assert quick.waves[0].first_cutover is not None
    assert slow.waves[0].first_cutover - quick.waves[0].first_cutover == timedelta(hours=5)


def test_a_window_that_is_too_short_is_told_and_the_machine_is_never_cut_over() -> None:
    writes = Rates(alone=100 * MIB, together=100 * MIB, changes=10.0 * MIB, preparing=0.0, beside=0.0)
    told = played({"vm": "a"}, rates=writes, defaults={"windows": ["daily 22:00-22:01 UTC"]})
    assert told.ends is None
    assert "the window is open for 1m" in told.never["a"]


def test_who_has_no_time_left_in_a_window_misses_it() -> None:
    told = played(*({"vm": f"v{number}"} for number in range(3)), at_once=1,
                  defaults={"windows": ["daily 22:00-22:40 UTC"], "downtime_budget": "1h"})  # fmt: skip
    assert (told.through, told.waves[0].windows_missed) == (3, 2)
    assert told.waves[0].ends is not None
    assert told.waves[0].ends.day == 9


def test_a_failure_keeps_who_comes_after_it_and_the_budget_stops_the_fleet() -> None:
    told = played({"vm": "db"}, {"vm": "app", "after": ["db"]}, fails={"db": "its preflight says vm.gone"})
    assert told.never == {"db": "its preflight says vm.gone", "app": "waits for db, which is failed"}
    stopped = played({"vm": "db"}, {"vm": "app"}, {"vm": "web"}, at_once=1, failure_budget=0, fails={"db": "no"})
    assert stopped.paused.startswith("fleet.budget_spent")
    assert stopped.never["web"] == "the fleet is paused"


def test_a_calendar_of_bandwidth_slows_the_day() -> None:
    limited = Rates(alone=100 * MIB, together=100 * MIB, limit=parse_bandwidth("08:00,1M 19:00,off"), changes=0.0,
                    preparing=0.0, beside=0.0)  # fmt: skip
    told = played({"vm": "a"}, rates=limited)
    assert told.waves[0].copied is not None
    assert told.waves[0].copied.hour == 19


def test_one_that_is_off_is_copied_in_its_cutover_and_has_no_downtime() -> None:
    told = played({"vm": "a"}, holds={"a": Holds(100 * GIB, warm=False, on=False)})
    assert (told.through, told.downtimes[0].seconds) == (1, 0.0)
    cold = played({"vm": "a"}, holds={"a": Holds(100 * GIB, warm=False)})
    assert cold.downtimes[0].seconds > 1024


def test_those_that_are_off_and_wait_take_no_bandwidth_by_delta_passes() -> None:
    writes = Rates(alone=100 * MIB, together=100 * MIB, changes=10.0 * MIB, preparing=0.0, beside=0.0)
    rest = {f"off{number}": Holds(1 * GIB, warm=False, on=False) for number in range(9)}
    waves = [{"name": "now", "approval": "auto"}, {"name": "later", "windows": ["Sat 22:00-02:00 UTC"]}]
    alone = played({"vm": "a"}, rates=writes, waves=waves)
    beside = played({"vm": "a"}, *({"vm": vm, "wave": "later"} for vm in rest), holds=rest, rates=writes, waves=waves)
    assert beside.waves[0].ends == alone.waves[0].ends


@given(st.lists(st.floats(1e6, 1e9), min_size=1, max_size=20), st.floats(1e3, 1e6), st.floats(1e3, 1e7))
def test_a_pipe_gives_no_more_than_it_has_and_ends_all(sizes: list[float], alone: float, together: float) -> None:
    pipe = Pipe(alone, together)
    for number, size in enumerate(sizes):
        pipe.put(str(number), size)
    ends = []
    while (end := pipe.next_end()) is not None:
        pipe.to(end)
        ends.append((end, sizes[int(pipe.take())]))
    assert sorted(size for _, size in ends) == sorted(sizes)
    assert ends == sorted(ends, key=lambda each: each[1]), "the smallest is first where all get the same"
    assert ends[-1][0] >= max(sum(sizes) / together, max(sizes) / alone) * 0.999
    assert ends[-1][0] <= sum(sizes) / min(alone, together) * 1.001


def test_two_thousand_machines_have_a_calendar() -> None:
    plan = plan_of(2000, 20).plan
    told = rehearse(given_of(plan, MONDAY, Asked.model_validate({"together": "2G"})))
    assert (told.through, told.never) == (2000, {})
    ends = [wave.ends for wave in told.waves]
    assert None not in ends
    assert ends == sorted(ends, key=lambda each: each or MONDAY)


def test_the_command_reads_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "big.yaml"
    file.write_text(plan_of(30, 3).text)
    code = run(["rehearse", str(file), "--starts", "2026-12-07T09:00+01:00", "-o", "json"])
    told = json.loads(capsys.readouterr().out)
    assert (code, told["through"], len(told["waves"])) == (0, 30, 3)
    assert run(["rehearse", str(file)]) == 0
    assert "all run on the target at" in capsys.readouterr().out
    assert run(["rehearse", str(file), "--starts", "2026-12-07T09:00"]) == 2
    assert "has no time zone" in capsys.readouterr().err
    assert run(["rehearse", str(file), "--starts", "0001-01-01T00:00+01:00"]) == 2


def of_host(count: int, host: str, **limits: int) -> Rehearsed:
    """Machines that all need one resource, of which there are so many."""
    holds = {f"v{number}": Holds(100 * GIB, needs=(host, "link:vc/pool")) for number in range(count)}
    return played(*({"vm": vm} for vm in holds), holds=holds, limits={host: 1, **limits})


def test_permits_are_waited_for_and_what_is_short_is_told_by_its_hours() -> None:
    told = of_host(4, "host:vc/esx1")
    peak = told.peaks["host:vc/esx1"]
    assert (told.through, peak.most, peak.limit) == (4, 1, 1)
    assert told.peaks["copied at once"].most == 4, "a turn is taken while the permit is waited for, as in the workflow"
    free = of_host(4, "host:vc/esx1", **{"host:vc/esx1": 4})
    assert free.peaks["host:vc/esx1"].waited_h == 0
    assert told.ends is not None
    assert free.ends is not None
    # A copy and two read-backs of 1,024 s each, one machine after another; for the last nobody waits.
    assert 4 * 3 * 1024 / 3600 > peak.waited_h > 3 * 1024 / 3600
    assert told.ends >= free.ends


def test_a_limit_of_none_keeps_all_from_beginning_and_is_told() -> None:
    told = of_host(2, "host:vc/esx1", **{"host:vc/esx1": 0})
    assert told.through == 0
    assert told.never["v0"] == "waits for permits, full: host:vc/esx1 (0 of 0)"


def test_a_permit_that_comes_after_the_window_misses_it() -> None:
    holds = {f"v{number}": Holds(100 * GIB, needs=("host:vc/esx1",)) for number in range(3)}
    told = played(*({"vm": vm} for vm in holds), holds=holds, limits={"host:vc/esx1": 1},
                  defaults={"windows": ["daily 22:00-22:30 UTC"], "downtime_budget": "1h"})  # fmt: skip
    assert (told.through, told.waves[0].windows_missed) == (3, 3)
    assert told.peaks["host:vc/esx1"].most == 1


def test_a_window_that_closes_over_the_pass_after_a_long_wait_for_permits_is_missed() -> None:
    writes = Rates(alone=100 * MIB, together=400 * MIB, changes=5.0 * MIB, preparing=0.0, beside=0.0)
    holds = {"first": Holds(1400 * GIB, needs=("host:vc/esx1",)), "second": Holds(2000 * GIB, needs=("host:vc/esx1",))}
    told = played({"vm": "first"}, {"vm": "second"}, holds=holds, limits={"host:vc/esx1": 1}, rates=writes,
                  defaults={"windows": ["daily 20:00-04:00 UTC"], "delta_interval": "10m"})  # fmt: skip
    off = told.through_at["second"] - timedelta(seconds=2 * 2000 * GIB / (100 * MIB))
    assert (off.hour >= 20 or off.hour < 4, told.waves[0].windows_missed) == (True, 1)


def test_limits_are_pinned_with_the_plan_and_rehearsed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft = plan_of(16, 1)
    assert draft.plan.seen is not None
    seen = draft.plan.seen.model_copy(update={"limits": {"host:vc/esx1": 2, "datastore:vc/ds1": 3, "link:vc/pool": 5}})
    file = tmp_path / "big.yaml"
    file.write_text(with_seen(draft.text, draft.region, seen))
    assert run(["rehearse", str(file), "-o", "json"]) == 0
    peaks = json.loads(capsys.readouterr().out)["peaks"]
    assert (peaks["link:vc/pool"]["most"], peaks["link:vc/pool"]["limit"]) == (5, 5)
    assert peaks["host:vc/esx1"]["most"] == 1
    assert run(["rehearse", str(file)]) == 0
    assert "link:vc/pool" in capsys.readouterr().out
