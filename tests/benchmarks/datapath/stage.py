"""Two labs, each in a process of its own as a vCenter and a pool are, with their state on tmpfs."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.config import load_config
from platforms.xapi.target import XapiTarget
from tests.benchmarks.datapath import reference

INVENTORY = """
vsphere:
  datastores: [{{name: store1, type: {store}}}]
  vms:
{vms}
xcpng:
  srs: [{{name: local-ext, type: ext, size_gib: 4096}}]
"""
VM = """    - name: {name}
      power: off
      change_tracking: true
      disks: [{disks}]
"""


@dataclass
class Stage:
    """Where things are."""

    folder: Path
    source: Path  # ferry.toml of the vCenter's lab
    target: Path  # of the pool's

    @property
    def scratch(self) -> Path:
        """By hand needs room; on tmpfs, which flatters it."""
        made = self.folder / "scratch"
        made.mkdir(exist_ok=True)
        return made

    def flat(self, vm: str, store: str = "store1") -> Path:
        """The base of a machine's first disk."""
        return self.source.parent / "vsphere" / store / vm / f"{vm}-flat.vmdk"

    def nbdkit(self, vm: str) -> Path:
        """In nbdkit's place, for want of VDDK: the real nbdkit, which serves the machine's file by its file plugin."""
        script = self.folder / "nbdkit-without-vddk"
        script.write_text(
            "#!/bin/sh\n# options before the plugin's name are kept, what is said to vddk is not\n"
            'options=""\nfor each; do [ "$each" = vddk ] && break; options="$options $each"; done\n'
            f"exec nbdkit $options file {self.flat(vm)}\n"
        )
        script.chmod(0o755)
        return script

    def pool(self) -> XapiTarget:
        """A client of the pool, for what is not measured."""
        return XapiTarget("pool", next(iter(load_config(self.target).targets.values())))


@contextlib.contextmanager
def stage(store: str, disks: dict[str, list[int]]) -> Iterator[Stage]:
    """A vCenter with a datastore of that type, a pool, and machines by name with reference disks of those bytes."""
    room = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=room) as made, contextlib.ExitStack() as running:
        folder = Path(made)
        images = {size: folder / f"reference-{size}.raw" for sizes in disks.values() for size in sizes}
        for size, image in images.items():
            reference.make(image, size)
        vms = "".join(
            VM.format(
                name=name,
                disks=", ".join(
                    f"{{image: {images[size]}, datastore: store1, unit: {unit}}}" for unit, size in enumerate(sizes)
                ),
            )
            for name, sizes in disks.items()
        )
        inventory = folder / "lab.yaml"
        inventory.write_text(INVENTORY.format(store=store, vms=vms))
        configs = []
        for name in ("source", "target"):
            process = subprocess.Popen(
                [sys.executable, "-m", "starter", "lab", "up", "--inventory", inventory if name == "source" else
                 _without_vms(inventory), "--state", folder / name],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"},
            )  # fmt: skip
            running.callback(_end, process)
            assert process.stdout is not None
            told: dict[str, Any] = json.loads(process.stdout.readline())
            configs.append(Path(told["config"]))
        for image in images.values():
            image.unlink()
        yield Stage(folder, configs[0], configs[1])


def _without_vms(inventory: Path) -> Path:
    other = inventory.with_name("pool.yaml")
    other.write_text("xcpng:\n  srs: [{name: local-ext, type: ext, size_gib: 4096}]\n")
    return other


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
