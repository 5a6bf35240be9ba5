"""Which 2 MiB blocks each link of a VDI's VHD chain holds: what a difference between two VDIs is made of.

The bytes themselves lie in one sparse raw file per VDI, which a snapshot copies.
"""

BLOCK = 2 << 20


class Chains:
    """By VDI ref: the links, the oldest first. A link is known by its identity; only the last one is written to."""

    def __init__(self) -> None:
        self._links: dict[str, list[set[int]]] = {}

    def wrote(self, vdi: str, offset: int, length: int) -> None:
        """Bytes landed: their blocks are in the leaf from now on."""
        self._of(vdi)[-1].update(range(offset // BLOCK, -(-(offset + length) // BLOCK)))

    def snapshot(self, vdi: str, taken: str) -> None:
        """What the VDI held becomes the parent of two leaves that hold nothing."""
        links = self._of(vdi)
        self._links[taken] = [*links, set()]
        self._links[vdi] = [*links, set()]

    def gone(self, vdi: str) -> None:
        """The VDI was destroyed; links that others share stay theirs."""
        self._links.pop(vdi, None)

    def difference(self, vdi: str, base: str) -> set[int]:
        """Blocks of the links that the two do not have in common."""
        ours, theirs = self._of(vdi), self._of(base)
        common = 0
        while common < min(len(ours), len(theirs)) and ours[common] is theirs[common]:
            common += 1
        return set().union(*ours[common:], *theirs[common:])

    def _of(self, vdi: str) -> list[set[int]]:
        return self._links.setdefault(vdi, [set()])
