"""The lab's own door, under ``/lab/``: what was counted, faults, outages, and what somebody else does to a machine."""

import json
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from simulators.faults import FaultRule
from simulators.outages import Outage
from simulators.vsphere.door import Door


class LabDoor(Door):
    """For tests and people; a real vCenter has none."""

    def answer_lab(self, verb: str, given: dict[str, Any]) -> None:
        """As JSON."""
        lab, door = self.lab, urlsplit(self.path).path.removeprefix("/lab/")
        answer: Any = {}
        vm, _, deed = door.removeprefix("vms/").partition("/")
        match verb, door:
            case "GET", "stats":
                answer = lab.counted()
            case "GET", "state":
                answer = lab.state()
            case "GET", "faults":
                answer = lab.faults.listed()
            case "POST", "faults":
                answer = asdict(lab.faults.add(FaultRule(**given)))
            case "DELETE", "faults":
                lab.faults.clear()
            case "GET", "outages":
                answer = lab.gate.listed()
            case "POST", "outages":
                answer = asdict(lab.gate.begin(Outage(**given)))
            case "DELETE", "outages":
                lab.gate.clear()
            case "POST", _ if door.startswith("vms/") and deed:
                lab.do(vm, deed, **given)
            case _:
                return self.plain(404)
        return self.plain(200, json.dumps(answer).encode(), "application/json")
