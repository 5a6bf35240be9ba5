"""The ``ferry`` command where no server is needed: help, usage, codes, and how it ends."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.error_catalogue import CATALOGUE
from contracts.errors import FerryError
from starter.commands.lab import lab_command
from starter.commands.starting import networks_of
from starter.errors_page import errors_page
from starter.main import run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    *("demo", "doctor", "inventory", "assess", "start", "status", "approve", "reject", "pause", "resume"),
    *("plan", "rehearse", "apply", "capacity", "sync-now", "retry", "cancel", "rollback"),
    *("explain", "templates", "lab"),
)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without ferry.toml, no Temporal, and nobody's own settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERRY_CONFIG", raising=False)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    return tmp_path


def test_the_help_opens_at_once_since_nothing_heavy_is_imported() -> None:
    heavy = "{'temporalio', 'rich', 'pydantic', 'ruamel'}"
    look = (
        f"import sys; from starter.main import run; run(['--help']); print({heavy} & set(sys.modules), file=sys.stderr)"
    )
    began = time.monotonic()
    helped = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    took = time.monotonic() - began

    assert helped.stderr.strip() == "set()"
    assert took < 3, "0.2 s on an idle machine"
    for command in COMMANDS:
        assert f"  {command} " in helped.stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "lab"] + ["lab up"])
def test_the_help_of_every_command_teaches_by_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run([*command.split(), "--help"])

    assert code == 0
    assert f"ferry {command}" in capsys.readouterr().out.partition("Example")[2]


@pytest.mark.parametrize(
    "line", ["start", "start web01 --nonsense", "explain no.such_code", "status --output xml", "frobnicate", "lab up"]
)
def test_a_wrong_command_line_ends_with_two(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(line.split())

    told = capsys.readouterr()
    assert code == 2
    assert told.out == ""
    assert "Error:" in told.err


def test_a_server_that_is_not_there_is_told_by_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["status", "web01"])

    told = capsys.readouterr()
    assert code == 1
    assert told.out == ""
    assert told.err.startswith("error[temporal.unreachable]: 127.0.0.1:1: Connection refused\n")
    assert "ferry explain temporal.unreachable" in told.err


def test_without_ferry_toml_a_start_asks_for_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["start", "web01"])

    assert code == 2
    assert "name the source with --source NAME: no ferry.toml was found" in capsys.readouterr().err


def test_a_named_ferry_toml_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["status", "--config", "gone.toml"])

    assert code == 2
    assert "error[config.invalid]: cannot read gone.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--delta-interval", "soon"], "delta_interval"),
        (["--segment-bytes", "1"], "segment_bytes"),
        (["--max-passes", "0"], "max_passes"),
        (["--network", "lan"], "SOURCE-NETWORK=TARGET-NETWORK"),
        (["--probation", "14"], "14d"),
    ],
)
def test_a_malformed_request_is_refused_before_anything_is_dialled(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["start", "web01", "--source", "vc", "--target", "pool", *flags])

    err = capsys.readouterr().err
    assert code == 2
    assert "error[request.invalid]" in err
    assert told in err


def test_the_doctor_names_the_first_thing_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["doctor", "-o", "json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 2
    assert [(each["what"], each["ok"]) for each in found] == [
        ("config", False),
        ("temporal", False),
        ("workers", None),
        ("systems", None),
    ]
    assert found[1]["code"] == "temporal.unreachable"


def test_a_network_may_hold_blanks_and_equal_signs() -> None:
    assert networks_of(["VM Network=lan", "a=b=c"]) == {"VM Network": "lan", "a=b": "c"}
    with pytest.raises(FerryError):
        networks_of(["=lan"])


def test_words_of_xo_cli_are_understood() -> None:
    from starter.xo_words import XoWords, understood

    assert understood(["web01"]) == XoWords(vm="web01")
    assert understood(["host=vc", "user=root", "vm=vm-42", "sr=local", "network=lan", "sslVerify=true"]) == XoWords(
        vm="vm-42", host="vc", user="root", sr="local", networks={"*": "lan"}
    )
    assert understood(["vm=a=b", "network=VM Network=lan"]) == XoWords(vm="a=b", networks={"VM Network": "lan"})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["vm=web01", "password=geheim"], 'password = "env:VC_PASSWORD"'),
        (["vm=web01", "PASSWORD=geheim"], "never a password"),
        (["vm=web01", "sslVerify=false"], "insecure = true"),
        (["vm=web01", "template=x"], "template= is not known here; known are vm, host"),
        (["web01", "web02"], "vm is said twice"),
        (["host=vc"], "which VM?"),
        (["vm=web01", "sr="], "sr= says nothing"),
    ],
)
def test_words_that_cannot_be_are_refused_and_no_password_is_repeated(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["start", *words]) == 2

    shown = capsys.readouterr()
    assert told in shown.err
    assert "request.invalid" in shown.err
    assert "geheim" not in shown.out + shown.err


def test_a_host_that_no_source_has_is_told_what_to_write(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (nowhere / "ferry.toml").write_text(
        '[sources.vc]\nurl = "https://vcenter.example"\nusername = "ann"\npassword = "env:VC"\n'
        '[targets.pool]\nurl = "https://xcp1.example"\nusername = "root"\npassword = "env:POOL"\n'
    )

    assert run(["start", "host=elsewhere.example", "user=bob", "vm=web01"]) == 2
    told = capsys.readouterr().err
    assert "request.unknown_system" in told
    assert 'url = "https://elsewhere.example", username = "bob"' in told
    assert "vc (ann at vcenter.example)" in told


def test_explain_tells_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    run(["explain", "-o", "json"])
    listed = json.loads(capsys.readouterr().out)
    run(["explain", "xapi.sr_full"])
    one = capsys.readouterr().out

    assert [each["code"] for each in listed] == list(CATALOGUE)
    assert CATALOGUE["xapi.sr_full"].action in one


def test_a_misspelt_code_is_helped_along(capsys: pytest.CaptureFixture[str]) -> None:
    run(["explain", "xapi.sr_ful"])

    assert "xapi.sr_full" in capsys.readouterr().err


def test_docs_errors_is_what_the_catalogue_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    run(["explain", "--markdown"])

    assert page == errors_page() == capsys.readouterr().out, "run `ferry explain --markdown > docs/errors.md`"
    for code in CATALOGUE:
        assert f"### `{code}`" in page


def test_an_exception_that_nobody_foresaw_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> str:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("starter.errors_page.errors_page", broken)
    code = run(["explain", "--markdown"])

    err = capsys.readouterr().err
    assert code == 1
    assert "error[internal]: ZeroDivisionError: oops" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["explain", "explain -o json", "explain -o yaml", "explain --markdown"])
def test_a_reader_that_leaves_early_is_no_error(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # nobody reads any more, as after `| head -1`
    piped = subprocess.run(
        [sys.executable, "-m", "starter", *command.split()], stdout=writer, stderr=subprocess.PIPE, cwd=ROOT
    )
    os.close(writer)

    assert (piped.returncode, piped.stderr) == (0, b"")


def test_the_lab_is_a_process_of_its_own() -> None:
    command = lab_command(Path("lab.yaml"), Path("state"), 10.0)

    assert command[1:] == ["-m", "simulators", "up", "--inventory", "lab.yaml", "--state", "state", "--speed", "10.0"]


def test_the_templates_are_shown_in_the_order_in_which_they_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    run(["templates", "-o", "json"])

    rows = json.loads(capsys.readouterr().out)
    assert rows[-1] == {"guest_os": "*", "templates": ["Other install media"]}
