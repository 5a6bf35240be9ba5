"""One SOAP session per source: logged in when first used, again when it has ended, and never twice with a wrong
password (SAFETY 21: a fleet must not lock an account)."""

import contextlib
import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pyVim.connect import Connect, Disconnect
from pyVmomi import vim

from contracts.config import SourceConfig
from contracts.errors import FerryError
from contracts.redaction import keep
from platforms.secrets import resolve
from platforms.tls import context_for
from platforms.vsphere.faults import translated
from platforms.vsphere.versions import spoken_at

Answer = TypeVar("Answer")
TIMEOUT = 120
"""Seconds for one call: a busy vCenter takes its time, a dead one must be noticed."""
KEEP_ALIVE = 600.0
"""Seconds between two calls that only keep the session; it ends after thirty idle minutes, and a copy of hours asks
`/folder` alone."""


class Session:
    """The connection of one source. Calls may come from any thread."""

    def __init__(self, name: str, config: SourceConfig, *, keep_alive: float = KEEP_ALIVE) -> None:
        self.name, self.config, self._keep_alive = name, config, keep_alive
        self._lock = threading.RLock()
        self._instance: Any = None
        self._ended = threading.Event()
        self._context: ssl.SSLContext | None = None
        self._refused: tuple[FerryError, str] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.config.url)
        return parts.hostname or "", parts.port or 443

    def dialled(self, host: str) -> str:
        """The address to dial for an ESXi host, by `hosts` of ferry.toml; its name where that says nothing."""
        known = {name.lower(): address for name, address in self.config.hosts.items()}
        return known.get(host.lower(), host)

    def call(self, doing: str, work: Callable[[Any], Answer], *, repeat: bool = True) -> Answer:
        """Do something with the ServiceInstance; once more after a new login, if the session had ended.

        Args:
            doing: for the error's message.
            repeat: False for what must not be done twice: then the caller looks and decides.

        Raises:
            FerryError: classified.
        """
        instance = self._connected()
        try:
            return work(instance)
        except vim.fault.NotAuthenticated as error:
            self._forget(instance)
            if not repeat:
                raise translated(error, doing) from None
        except Exception as error:
            raise translated(error, doing) from None
        try:
            return work(self._connected())
        except Exception as error:
            raise translated(error, doing) from None

    def cookie(self) -> str:
        """``vmware_soap_session=…``, for `/folder`."""
        return _cookie_of(self._connected())

    def renew(self, stale: str) -> None:
        """A door says that the session of that cookie is over: end it, so that the next use logs in.

        Many readers hear so at once; the first ends it, and the others find a new cookie.
        """
        with self._lock:
            instance = self._instance
            if instance is None or _cookie_of(instance) != stale:
                return
            self._forget(instance)
        _log_out(instance)  # it may live on for SOAP: sessions that nobody ends lock everybody out (vsphere.md §5)

    def context(self) -> ssl.SSLContext:
        """The TLS context, for `/folder`: the one that the login went over."""
        with self._lock:
            if self._context is None:
                self._context = context_for(self.config)
            return self._context

    def close(self) -> None:
        """Log out."""
        with self._lock:
            instance = self._instance
            self._forget(instance)
        if instance is not None:
            _log_out(instance)

    def _connected(self) -> Any:
        with self._lock:
            if self._instance is None:
                self._instance = self._login()
                self._ended = threading.Event()
                threading.Thread(
                    target=self._keep, args=(self._instance, self._ended), daemon=True, name="vsphere-keep-alive"
                ).start()
            return self._instance

    def _login(self) -> Any:
        host, port = self.address
        password = resolve(self.config.password)
        if self._refused is not None and self._refused[1] == password:  # another one has been put in its place, or not
            raise FerryError(self._refused[0].code, self._refused[0].message)
        self._context = None  # a certificate may have been renewed since, with its pin beside the old one
        try:
            instance = Connect(
                host=host, port=port, user=self.config.username, pwd=password, sslContext=self.context(),
                version=spoken_at(self.address, self.context(), timeout=TIMEOUT), httpConnectionTimeout=TIMEOUT,
            )  # fmt: skip
        except vim.fault.InvalidLogin:
            told = f"{self.config.username} is refused at {self.config.url}; this password is not tried again"
            self._refused = FerryError("vsphere.login_refused", told), password
            raise self._refused[0] from None
        except Exception as error:
            raise translated(error, f"log in at {self.config.url}") from None
        self._refused = None
        keep(_cookie_of(instance).partition("=")[2].strip('"'), passing=True)
        return instance

    def _keep(self, instance: Any, ended: threading.Event) -> None:
        while not ended.wait(self._keep_alive):
            try:
                # Not CurrentTime, which a host answers to anybody; nobody has that uuid.
                instance.RetrieveContent().searchIndex.FindByUuid(None, "0", True, True)
            except vim.fault.NotAuthenticated:
                return self._forget(instance)
            except Exception:  # noqa: S112  whoever needs the session next hears what is wrong with it
                continue

    def _forget(self, instance: Any) -> None:
        with self._lock:
            if instance is not None and self._instance is instance:
                self._instance = None
                self._ended.set()


def _cookie_of(instance: Any) -> str:
    """pyVmomi keeps the raw Set-Cookie text: cut at its first semicolon (vsphere.md §1a)."""
    return str(instance._stub.cookie).split(";")[0]


def _log_out(instance: Any) -> None:
    with contextlib.suppress(Exception):
        Disconnect(instance)
