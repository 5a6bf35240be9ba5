"""The fence around a machine that is off for good: what would bring it back onto the network by itself (SAFETY 16)."""

import json
from typing import Any

from pyVmomi import vim

from contracts.machine import OwnerMark
from contracts.steps import FenceJournal
from platforms.vsphere import inventory
from platforms.vsphere.configuring import options, reconfigure
from platforms.vsphere.located import Located
from platforms.vsphere.marks import see_that_it_is_ours
from platforms.vsphere.session import Session

FENCE_KEY = "ferry.fence"
"""extraConfig: what the fence changed, written in the same call that changes it."""


def fence(session: Session, vm: Located, mark: OwnerMark) -> FenceJournal:
    """NICs that would connect at power-on no longer do: whoever starts the machine all the same has it without network.

    Raises ``source.stale_epoch``. No template mark: of a template nothing but name and annotation can be changed, so
    that no epoch could be raised any more (docs/decisions/0009).
    """
    properties = vm.properties(session)
    see_that_it_is_ours(vm, properties, mark)
    journal = _journal_of(properties)
    cards = [card for card in _cards(properties) if card.connectable.startConnected]
    if cards:
        journal.update({str(card.key): "startConnected" for card in cards})
        doing = "disconnect its NICs at start"
        _connect_at_start(session, vm, cards, False, json.dumps(journal), doing, properties["config.changeVersion"])
    return FenceJournal(changes={f"NIC {key}": change for key, change in sorted(journal.items())})


def unfence(session: Session, vm: Located, journal: FenceJournal, mark: OwnerMark) -> None:
    """The machine's own journal counts too: an attempt to fence that died told nobody else.

    Raises ``source.stale_epoch``.
    """
    properties = vm.properties(session)
    see_that_it_is_ours(vm, properties, mark)
    keys = set(_journal_of(properties)) | {name.removeprefix("NIC ") for name in journal.changes}
    cards = [card for card in _cards(properties) if str(card.key) in keys and not card.connectable.startConnected]
    if cards or FENCE_KEY in inventory.extra_config(properties):
        doing = "connect its NICs at start again"
        _connect_at_start(session, vm, cards, True, "", doing, properties["config.changeVersion"])


def _cards(properties: dict[str, Any]) -> list[Any]:
    return [
        each for each in properties["config.hardware.device"]
        if isinstance(each, vim.vm.device.VirtualEthernetCard) and each.connectable is not None
    ]  # fmt: skip


def _connect_at_start(
    session: Session, vm: Located, cards: list[Any], connected: bool, journal: str, doing: str, version: str
) -> None:
    """With the version at which the epoch was read: raising it in the meantime makes vSphere refuse (SAFETY 14)."""
    edits = []
    for card in cards:
        card.connectable.startConnected = connected
        edits.append(vim.vm.device.VirtualDeviceSpec(operation="edit", device=card))
    spec = vim.vm.ConfigSpec(deviceChange=edits, extraConfig=options({FENCE_KEY: journal}), changeVersion=version)
    reconfigure(session, vm, spec, doing)


def _journal_of(properties: dict[str, Any]) -> dict[str, str]:
    told = inventory.extra_config(properties).get(FENCE_KEY, "")
    try:
        return {str(key): str(value) for key, value in json.loads(told).items()} if told else {}
    except (ValueError, AttributeError):
        return {}
