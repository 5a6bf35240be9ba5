"""Versions that are known to be bad: the table names the build that mends it, and blames no version it was not told."""

import pytest

from checks.known_bad import VSPHERE, XCP_NG, blames


def blamed(version: str, build: str, *, loses_data: bool = True) -> list[str]:
    return [bad.source for bad in blames(VSPHERE, version, build, loses_data=loses_data)]


@pytest.mark.parametrize(
    ("version", "build", "source"),
    [
        ("5.5.0", "3568722", "VMware KB 2090639"),
        ("6.0.0", "3247719", "VMware KB 2136854, mended by ESXi600-201511001"),
        ("6.7.0", "8169922", "VMware KB 59216, mended by 6.7 U1"),
    ],
)
def test_a_version_that_loses_writes_is_blamed(version: str, build: str, source: str) -> None:
    assert blamed(version, build) == [source]


@pytest.mark.parametrize(
    ("version", "build"),
    [
        ("6.0.0", "3247720"),
        ("6.7.0", "10302608"),
        ("6.5.0", "4564106"),
        ("8.0.3", "24022510"),
        ("6.0.0", ""),
        ("", "1"),
    ],
)
def test_a_mended_one_a_newer_one_and_one_that_was_not_told_are_not(version: str, build: str) -> None:
    assert blamed(version, build) == []


def test_only_the_builds_that_were_withdrawn_are_trouble() -> None:
    assert blamed("7.0.3", "18644231", loses_data=False)
    assert not blamed("7.0.3", "19193900", loses_data=False)


def test_a_pool_is_judged_by_its_release() -> None:
    assert list(blames(XCP_NG, "8.1.0", loses_data=False))
    assert not list(blames(XCP_NG, "8.3.0", loses_data=False))
