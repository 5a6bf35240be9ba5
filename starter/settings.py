"""What the command line needs of ferry.toml: the names of systems, and where Temporal is. Secrets stay unread."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from contracts.config import SourceConfig, TemporalConfig, config_path, load_config
from contracts.errors import FerryError


@dataclass(frozen=True)
class Settings:
    """The file in short; empty where there is none."""

    path: Path | None = None
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    logins: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Source to its host and the user that Ferry logs in as."""
    sites: dict[str, str] = field(default_factory=dict)
    """Source to the site whose workers reach it."""

    def source(self, given: str | None) -> str:
        """The source that was named, or the only one."""
        return self._only("source", given, self.sources)

    def target(self, given: str | None) -> str:
        """The target that was named, or the only one."""
        return self._only("target", given, self.targets)

    def site(self, given: str | None, source: str | None) -> str:
        """The site that was named, or that of the source."""
        return given if given is not None else self.sites.get(source or "", "")

    def source_at(self, host: str, user: str = "") -> str:
        """The source whose address is that host (and whose user is that one), as `xo-cli` people name it.

        Raises:
            FerryError: ``request.unknown_system``, with the lines to write.
        """
        found = [
            name for name, (address, login) in self.logins.items() if host in (name, address) and user in ("", login)
        ]
        if len(found) == 1:
            return found[0]
        who = f" with the user {user!r}" if user else ""
        known = ", ".join(f"{name} ({login} at {at})" for name, (at, login) in self.logins.items()) or "none"
        raise FerryError(
            "request.unknown_system",
            f"ferry.toml has {'several sources' if found else 'no source'} at {host!r}{who}; it has {known}. "
            f'A source is written there as [sources.NAME] url = "https://{host}", '
            f'username = "{user or "USER"}", password = "env:VC_PASSWORD"',
        )

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
    logins = {
        name: (urlsplit(each.url).hostname or "", each.username)
        for name, each in config.sources.items()
        if isinstance(each, SourceConfig)
    }
    sites = {name: each.site for name, each in config.sources.items()}
    return Settings(path, tuple(config.sources), tuple(config.targets), config.temporal, logins, sites)
