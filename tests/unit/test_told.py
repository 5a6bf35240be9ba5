"""What a person reads of a wrong word, and of a proof made again."""

from pathlib import Path

import pytest

from contracts.config import load_config
from contracts.errors import FerryError
from contracts.steps import ProofReport
from contracts.verification import VerifyReport
from starter.output import Output, put
from starter.views.verification import verification_view

WRONG = """
[sources.vc]
url = "https://vc"
username = "u"
password = "geheim"
[store]
"""


def test_a_wrong_line_of_ferry_toml_is_told_in_our_words_and_without_what_stands_there(tmp_path: Path) -> None:
    (tmp_path / "ferry.toml").write_text(WRONG)

    with pytest.raises(FerryError) as caught:
        load_config(tmp_path / "ferry.toml")

    assert "sources.vc.password: name the secret as env:NAME" in caught.value.message
    assert "store: give either path" in caught.value.message
    assert "Value error" not in caught.value.message
    assert "geheim" not in caught.value.message


def test_disks_are_called_by_their_slots(capsys: pytest.CaptureFixture[str]) -> None:
    proof = ProofReport(disk_id="2000-none-scsi0.0", holds=True)
    report = VerifyReport(vm="web01", migration="m", holds=True, target=(proof,), slots={proof.disk_id: "scsi0:0"})

    put(report, Output.TABLE, lambda: verification_view(report))

    shown = capsys.readouterr().out
    assert "scsi0:0" in shown
    assert proof.disk_id not in shown


@pytest.mark.parametrize("reference", ["env:", "file:", "keyring:ferry", "vault:secret/ferry", "vault:#x", "geheim"])
def test_a_reference_that_can_lead_nowhere_is_told_when_the_file_is_read(tmp_path, reference):
    file = tmp_path / "ferry.toml"
    file.write_text(f'[sources.vc]\nurl = "https://vc.example"\nusername = "u"\npassword = "{reference}"\n')

    with pytest.raises(FerryError) as caught:
        load_config(file)

    assert caught.value.code == "config.invalid"
    assert "geheim" not in caught.value.message
