"""``python -m simulators up --inventory FILE.yaml --state DIR``: a lab in the foreground, until interrupted."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml.error import YAMLError

from simulators.inventory import load_inventory
from simulators.lab import Lab


def main() -> int:
    """Run a lab; 2 for an inventory or folder that will not do."""
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="run both simulators until interrupted")
    up.add_argument("--inventory", type=Path, required=True)
    up.add_argument("--state", type=Path, required=True)
    up.add_argument("--speed", type=float, default=1.0, help="the lab's clocks run that many times faster")
    up.add_argument("--vsphere-port", type=int, default=0)
    up.add_argument("--xapi-port", type=int, default=0)
    given = parser.parse_args()

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda number, frame: stop.set())
    try:
        lab = Lab(
            load_inventory(given.inventory),
            given.state,
            speed=given.speed,
            vsphere_port=given.vsphere_port,
            xapi_port=given.xapi_port,
        )
    except ValidationError as error:
        for each in error.errors():
            print(f"{given.inventory}: {'.'.join(map(str, each['loc']))}: {each['msg']}", file=sys.stderr)
        return 2
    except (ValueError, OSError, YAMLError) as error:
        print(f"the lab cannot be built: {error}", file=sys.stderr)
        return 2
    with lab:
        print(json.dumps(lab.addresses()), flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
