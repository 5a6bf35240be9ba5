"""A machine that vCenter cannot show: one that comes back with its host is waited for, one that is lost is told."""

from pathlib import Path

import pytest

from contracts.config import SourceConfig
from contracts.errors import FerryError
from platforms.vsphere.source import VsphereSource
from tests.conformance.preflight.looking import WELL
from tests.conformance.vsphere_lab import PASSWORD, running_vcenter


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("orphaned", "vm.inaccessible"),
        ("inaccessible", "vm.inaccessible"),
        ("invalid", "vm.inaccessible"),
        ("disconnected", "vsphere.unreachable"),
    ],
)
def test_what_is_lost_asks_a_human_and_what_is_away_is_tried_again(tmp_path: Path, state: str, code: str) -> None:
    (tmp_path / "secret").write_text(PASSWORD)
    with running_vcenter(tmp_path, {**WELL, "settings": {"connection": state}}) as vcenter:
        said = {
            "url": vcenter.url, "username": vcenter.said.user, "password": f"file:{tmp_path}/secret",
            "ca_file": tmp_path / "ca.pem",
        }  # fmt: skip
        source = VsphereSource("vc", SourceConfig.model_validate(said))
        try:
            with pytest.raises(FerryError, match=state) as told:
                source.machine("web01")
            assert told.value.code == code
        finally:
            source.close()
