"""What the command line needs of ferry.toml: the names of systems, and where Temporal is. Secrets stay unread."""

from dataclasses import dataclass, field
from pathlib import Path

from contracts.config import TemporalConfig, config_path, load_config
from contracts.errors import FerryError


@dataclass(frozen=True)
class Settings:
    """The file in short; empty where there is none."""

    path: Path | None = None
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    temporal: TemporalConfig = field(default_factory=TemporalConfig)

    def source(self, given: str | None) -> str:
        """The source that was named, or the only one."""
        return self._only("source", given, self.sources)

    def target(self, given: str | None) -> str:
        """The target that was named, or the only one."""
        return self._only("target", given, self.targets)

    def _only(self, what: str, given: str | None, known: tuple[str, ...]) -> str:
        if given:
            return given
        if len(known) == 1:
            return known[0]
        if self.path is None:
            why = "no ferry.toml was found that would name one (--config, FERRY_CONFIG)"
        else:
            why = f"{self.path} has {', '.join(known) or 'none'}"
        raise FerryError("request.invalid", f"name the {what} with --{what} NAME: {why}")


def load_settings(given: Path | None) -> Settings:
    """Find and read the file.

    Raises:
        FerryError: ``config.invalid``, also for a file that was named and is not there.
    """
    path = config_path(given)
    if path is None:
        return Settings()
    config = load_config(path)
    return Settings(path, tuple(config.sources), tuple(config.targets), config.temporal)
