"""Codes of what lies in files: appliances and disk images; part of :mod:`contracts.error_catalogue`."""

from contracts.errors import ErrorEntry, ExitCode, Remedy

_F, _ASK, _BLOCKED = Remedy.FAIL, Remedy.ASK, ExitCode.BLOCKED

FILES = (
    ErrorEntry("preflight.in_files", _F, "The machine lies in files: what was written to it since their export is not in them.",
               "Export it while it is off, and keep it off; a copy of one that runs is a test copy."),
    ErrorEntry("preflight.firmware_disagrees", _F, "The descriptor names a firmware that the first disk does not look made for.",
               "Look at the machine it came from. Override the check where the descriptor is right; else correct it.", _BLOCKED),
    ErrorEntry("preflight.firmware_guessed", _F, "Nothing says whether the machine boots by BIOS or by UEFI.",
               "Look at the machine it came from; where it boots by UEFI, say so in the descriptor (vmw:Config firmware = efi)."),
    ErrorEntry("preflight.hardware_guessed", _F, "A disk image without a descriptor says nothing of the machine around it.",
               "Set CPUs, memory and NICs on the pool before the start; or put an OVF or the .vmx beside the image."),
    ErrorEntry("preflight.no_mac", _F, "The descriptor has no MAC of a NIC, so that the target gets a new one.",
               "Write the old one into the descriptor (rasd:Address) where licences, DHCP or the guest's own rules hang on it."),
    ErrorEntry("file.unreadable", _F, "A file of the source is not what it should be, or cannot be read.",
               "The message says which and why: export it again, or mend it, then start again."),
    ErrorEntry("file.truncated", _F, "A file of the source ends too early: it was not copied or downloaded whole.",
               "Copy it again, compare its size with the original's, then start again."),
    ErrorEntry("file.digest", _F, "A file of an appliance has not the digest that its manifest (.mf) names.",
               "Copy or export it again; what was changed on purpose needs a manifest of its own, or none."),
    ErrorEntry("file.too_large", _F, "A file claims more than any appliance holds, so it is not read.",
               "Look where it comes from. An appliance of more machines or disks than that: split it."),
    ErrorEntry("file.path", _F, "A descriptor names a file outside its own folder, which Ferry does not follow.",
               "Look where it comes from. Where it is honest: put the files beside the descriptor, and name them plainly."),
    ErrorEntry("file.chain", _F, "A disk image is a delta of others that are not all there, or that go in a circle.",
               "Merge it into one image (qemu-img convert, Merge-VHD, or export again), then start again."),
    ErrorEntry("file.changed", _ASK, "A file of the source was written to while it was read.",
               "See to it that nobody writes there, then `ferry retry VM`: the pass does not count."),
    ErrorEntry("source.cannot_start", _F, "The source is a file, which runs nowhere.",
               "Start the machine that it was exported from, if it is still there."),
)  # fmt: skip
