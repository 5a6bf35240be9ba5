"""Machines that lie in files."""

from functools import partial
from pathlib import Path

from tests.conformance.preflight.looking import Case
from tests.files.making import MIB, appliance, raw


def _alone(folder: Path) -> None:
    folder.mkdir()
    raw(folder / "web01.img", 8 * MIB)


CASES = [
    Case("preflight.in_files", files=partial(appliance, name="web01")),
    Case("preflight.firmware_disagrees", files=partial(appliance, name="web01", boots="bios", firmware="efi")),
    Case("preflight.firmware_disagrees", name="virtualbox",
         files=partial(appliance, name="web01", dialect="virtualbox", efi=False, boots="uefi")),
    Case("preflight.firmware_guessed", files=partial(appliance, name="web01", boots="nothing", firmware="")),
    Case("preflight.hardware_guessed", files=lambda folder: _alone(folder)),
    Case("preflight.no_mac", files=partial(appliance, name="web01", macs=("",))),
]  # fmt: skip
