"""What must hold at the end of the demo, a sentence each."""

from dataclasses import dataclass

from contracts.sizes import spoken_size
from contracts.told import Report


@dataclass(frozen=True)
class Outcome:
    """What came of the demo. ``killed``: durable segments of each disk when the worker was killed."""

    report: Report
    segment_bytes: int
    files_equal: bool
    killed_in_initial_sync: bool
    killed: dict[str, int]
    seconds: float

    @property
    def sentences(self) -> tuple[tuple[str, bool], ...]:
        """Each with whether it holds."""
        report = self.report
        allowed = self.segment_bytes * max(1, len(report.disks))
        return (
            ("the migration is done", report.outcome == "done"),
            ("the target holds what was sent", report.proof_target_is_sent == "holds"),
            ("the target is the source at power-off", report.proof_target_is_source == "holds"),
            ("the disks' files are equal, byte for byte", self.files_equal),
            ("the worker was killed in the initial sync", self.killed_in_initial_sync),
            (
                f"no more than a segment per disk was sent again: {spoken_size(report.bytes_sent_again)} "
                f"of at most {spoken_size(allowed)}",
                report.bytes_sent_again <= allowed,
            ),
        )

    @property
    def holds(self) -> bool:
        """Whether all of it does."""
        return all(holds for _, holds in self.sentences)
