"""What the demo's lab holds."""

from pathlib import Path

from starter.demo.images import make_image

VM = "web01"
DATASTORE = "nfs1"
SLOTS = ("scsi0:0", "scsi0:1")
WRITES_MIB_PER_S = 2
WRITES_SPAN_MIB = 16
"""Of each disk, and its last sector: what is written is a part of the disk, so that deltas are smaller than it."""

_INVENTORY = """\
vsphere:
  version: 8.0.3
  datastores: [{{name: {datastore}, type: NFS}}]
  vms:
    - name: {vm}
      firmware: efi
      power: on
      cpus: 2
      memory_mib: 2048
      nics: [{{network: VM Network, mac: "00:50:56:aa:00:01"}}]
      disks:
{disks}
      guest: {{tools: running, writes_mib_per_s: {writes}, writes_span_mib: {span}}}
xcpng:
  pool: lab
  srs: [{{name: local-ext, type: ext, size_gib: 4096}}]
  networks: [{{name: lan}}]
"""


def make_lab(folder: Path) -> Path:
    """Make the images and the inventory; the path of the latter."""
    images = folder / "images"
    images.mkdir()
    disks = []
    for unit, slot in enumerate(SLOTS):
        name = f"{VM}-{unit}.raw"
        make_image(images / name, seed=unit + 1)
        controller = slot.partition(":")[0]
        disks.append(
            f"        - {{image: images/{name}, datastore: {DATASTORE}, controller: {controller}, unit: {unit}}}"
        )
    inventory = folder / "inventory.yaml"
    inventory.write_text(
        _INVENTORY.format(
            datastore=DATASTORE, vm=VM, disks="\n".join(disks), writes=WRITES_MIB_PER_S, span=WRITES_SPAN_MIB
        )
    )
    return inventory
