"""Appliances as VMware's and VirtualBox's tools write them, from raw disks."""

import hashlib
import io
import struct
import subprocess
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from random import Random

MIB = 1 << 20
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" '
    'xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" '
    'xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" '
    'xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" '
    'xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vbox="http://www.virtualbox.org/ovf/machine">\n'
)


def raw(path: Path, size: int, seed: int = 1, *, boots: str = "bios") -> Path:
    """A disk with some data, holes, and at its begin what boots it."""
    chance = Random(seed)
    with path.open("wb") as disk:
        disk.truncate(size)
        for at in range(MIB, size - 2 * MIB, 4 * MIB):
            disk.seek(at + chance.randrange(MIB))
            disk.write(chance.randbytes(MIB // 2))
        disk.seek(0)
        disk.write(head(boots))
    return path


def head(boots: str) -> bytes:
    """The first 34 sectors: ``bios`` boot code in an MBR, ``uefi`` a GPT with an ESP, ``both``, or ``nothing``."""
    if boots == "nothing":
        return bytes(34 * 512)
    if boots == "bios":
        return (b"\xfa\x31\xc0" + bytes(507) + b"\x55\xaa").ljust(34 * 512, b"\0")
    kinds = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b"]
    kinds += ["21686148-6449-6e6f-744e-656564454649"] if boots == "both" else []
    mbr = bytes(510) + b"\x55\xaa"
    gpt = b"EFI PART" + bytes(72) + struct.pack("<II", 128, 128)
    entries = b"".join(uuid.UUID(kind).bytes_le + uuid.uuid4().bytes_le + bytes(96) for kind in kinds)
    return (mbr + gpt.ljust(512, b"\0") + entries).ljust(34 * 512, b"\0")


def vmdk(source: Path, path: Path, form: str = "streamOptimized") -> Path:
    """As qemu-img writes it."""
    words = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={form}", str(source), str(path)]
    subprocess.run(words, check=True, capture_output=True)
    return path


def vmware(
    disks: Sequence[tuple[str, int, int]], *, name: str = "web01", firmware: str = "efi", memory: int = 2048,
    macs: Sequence[str] = ("00:50:56:aa:00:01",), note: str = "the shop", controller: str = "6", cpus: int = 2,
) -> str:  # fmt: skip
    """A descriptor as ovftool writes it. ``disks``: href, bytes of the file, bytes of the disk."""
    files = "".join(f'  <File ovf:href="{href}" ovf:id="file{at}" ovf:size="{size}"/>\n'
                    for at, (href, size, _) in enumerate(disks, 1))  # fmt: skip
    told = "".join(
        f'  <Disk ovf:capacity="{capacity // MIB}" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk{at}" '
        f'ovf:fileRef="file{at}" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>\n'
        for at, (_, _, capacity) in enumerate(disks, 1)
    )
    items = "".join(
        f"   <Item><rasd:AddressOnParent>{at - 1}</rasd:AddressOnParent>"
        f"<rasd:ElementName>Hard disk {at}</rasd:ElementName>"
        f"<rasd:HostResource>ovf:/disk/vmdisk{at}</rasd:HostResource><rasd:InstanceID>{10 + at}</rasd:InstanceID>"
        f"<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>\n"
        for at in range(len(disks), 0, -1)
    )
    nics = "".join(
        f"   <Item><rasd:Address>{mac}</rasd:Address><rasd:AddressOnParent>{at}</rasd:AddressOnParent>"
        f"<rasd:Connection>VM Network</rasd:Connection><rasd:ElementName>Network adapter {at}</rasd:ElementName>"
        f"<rasd:InstanceID>{30 + at}</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>"
        "<rasd:ResourceType>10</rasd:ResourceType></Item>\n"
        for at, mac in enumerate(macs, 1)
    )
    config = f'   <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="{firmware}"/>\n' if firmware else ""
    return (
        f'{_HEAD} <References>\n{files} </References>\n <DiskSection><Info>disks</Info>\n{told} </DiskSection>\n'
        ' <NetworkSection><Info>networks</Info><Network ovf:name="VM Network"/></NetworkSection>\n'
        f' <VirtualSystem ovf:id="vm"><Info>A virtual machine</Info><Name>{name}</Name>\n'
        '  <OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest"><Info>os</Info>'
        "<Description>Debian GNU/Linux 11 (64-bit)</Description></OperatingSystemSection>\n"
        "  <VirtualHardwareSection><Info>hardware</Info>\n"
        f"   <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"
        f"<rasd:VirtualQuantity>{cpus}</rasd:VirtualQuantity>"
        '<vmw:CoresPerSocket ovf:required="false">2</vmw:CoresPerSocket></Item>\n'
        f"   <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>"
        f"<rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>{memory}</rasd:VirtualQuantity></Item>\n"
        f"   <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID>"
        f"<rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>{controller}</rasd:ResourceType></Item>\n"
        f"{items}{nics}{config}  </VirtualHardwareSection>\n"
        f"  <AnnotationSection><Info>note</Info><Annotation>{note}</Annotation></AnnotationSection>\n"
        " </VirtualSystem>\n</Envelope>\n"
    )  # fmt: skip


def virtualbox(
    disks: Sequence[tuple[str, int, int]], *, name: str = "web01", efi: bool = False,
    macs: Sequence[str] = ("080027AABBCC",),
) -> str:  # fmt: skip
    """A descriptor as VirtualBox writes it: MACs and firmware are in ``vbox:Machine`` only, disks hang on AHCI."""
    files = "".join(f'<File ovf:id="file{at}" ovf:href="{href}"/>' for at, (href, _, _) in enumerate(disks, 1))
    told = "".join(
        f'<Disk ovf:capacity="{capacity}" ovf:diskId="vmdisk{at}" ovf:fileRef="file{at}" '
        'ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" '
        f'vbox:uuid="{uuid.UUID(int=at)}"/>'
        for at, (_, _, capacity) in enumerate(disks, 1)
    )
    items = "".join(
        f"<Item><rasd:AddressOnParent>{at - 1}</rasd:AddressOnParent><rasd:Caption>disk{at}</rasd:Caption>"
        f"<rasd:HostResource>/disk/vmdisk{at}</rasd:HostResource><rasd:InstanceID>{20 + at}</rasd:InstanceID>"
        "<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
        for at in range(1, len(disks) + 1)
    )
    nics = "".join(
        "<Item><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>NAT</rasd:Connection>"
        f"<rasd:InstanceID>{40 + at}</rasd:InstanceID><rasd:ResourceSubType>E1000</rasd:ResourceSubType>"
        "<rasd:ResourceType>10</rasd:ResourceType></Item>"
        for at in range(len(macs))
    )
    adapters = '<Adapter slot="7" enabled="false" MACAddress="080027000000"/>' + "".join(
        f'<Adapter slot="{at}" enabled="true" MACAddress="{mac}" type="82540EM"><NAT/></Adapter>'
        for at, mac in enumerate(macs)
    )
    firmware = '<Firmware type="EFI"/>' if efi else ""
    return (
        f"{_HEAD}<References>{files}</References><DiskSection><Info>d</Info>{told}</DiskSection>"
        '<NetworkSection><Info>n</Info><Network ovf:name="NAT"/></NetworkSection>'
        f'<VirtualSystem ovf:id="{name}"><Info>A virtual machine</Info>'
        '<OperatingSystemSection ovf:id="96"><Info>os</Info><Description>Debian_64</Description>'
        "</OperatingSystemSection>"
        "<VirtualHardwareSection><Info>h</Info>"
        "<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"
        "<rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>"
        "<Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>"
        "<rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>"
        "<Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID>"
        "<rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>"
        f"{items}{nics}</VirtualHardwareSection>"
        f'<vbox:Machine ovf:required="false" version="1.19-linux" name="{name}" OSType="Debian_64">'
        f"<Hardware>{firmware}<Network>{adapters}</Network></Hardware></vbox:Machine>"
        "</VirtualSystem></Envelope>"
    )  # fmt: skip


def ova(path: Path, descriptor: str, disks: Sequence[Path], *, digests: str | None = "SHA256") -> Path:
    """Descriptor, manifest, disks, in the order that the standard wants."""
    name = path.stem
    parts: list[tuple[str, bytes]] = [(f"{name}.ovf", descriptor.encode())]
    if digests is not None:
        files = [*parts, *((each.name, each.read_bytes()) for each in disks)]
        lines = [f"{digests}({part})= {hashlib.new(digests.lower(), data).hexdigest()}" for part, data in files]
        parts.append((f"{name}.mf", "\n".join(lines).encode() + b"\n"))
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for part, data in parts:
            member = tarfile.TarInfo(part)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for each in disks:
            archive.add(each, each.name)
    return path


def appliance(folder: Path, name: str, dialect: str = "vmware", count: int = 1, *, size: int = 16 * MIB,
              boots: str = "uefi", **said: object) -> tuple[Path, list[Path]]:  # fmt: skip
    """An OVA in that folder; answers it and its disks as raw files beside the folder."""
    aside = folder.parent / f"{folder.name}-raw"
    aside.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    raws = [raw(aside / f"{name}-{at}.raw", size + at * MIB, at, boots=boots if at == 0 else "nothing")
            for at in range(count)]  # fmt: skip
    disks = [vmdk(each, aside / f"{each.stem}.vmdk") for each in raws]
    told = [(each.name, each.stat().st_size, size + at * MIB) for at, each in enumerate(disks)]
    text = virtualbox(told, name=name, **said) if dialect == "virtualbox" else vmware(told, name=name, **said)  # type: ignore[arg-type]
    return ova(folder / f"{name}.ova", text, disks), raws
