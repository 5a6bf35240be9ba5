"""The login to a pool, shared by all threads: one session ref, a connection per call that is under way."""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from contracts.config import System
from contracts.errors import FerryError
from contracts.redaction import keep
from platforms.secrets import resolve
from platforms.tls import context_for
from platforms.xapi.faults import XapiFailure
from platforms.xapi.wire import Failures, Line, NotSent

ORIGINATOR = "ferry"
"""Sessions are limited per originator (xapi.md §3.10): ours do not push out those of others."""
CALL_SECONDS = 60.0
LONG_CALL_SECONDS = 900.0
"""For calls that wait for storage: create, destroy, snapshot, start."""
READ_TRIES = 3
HOPS = 3


@dataclass(frozen=True)
class _Login:
    url: str
    session: str


class Connection:
    """Calls to one pool. Safe to use from any thread.

    Follows the coordinator, logs in once more when the session has ended, and never tries a refused password
    twice. Reading calls are repeated when the network breaks; others only when nothing was sent.
    """

    def __init__(self, name: str, system: System) -> None:
        self.name = name
        self._system = system
        self._lock = threading.Lock()
        self._login_lock = threading.Lock()
        self._login: _Login | None = None
        self._idle: list[Line] = []
        self._refused: tuple[FerryError, str] | None = None
        self._known: list[str] = []
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """The trust of this pool, for every host of it. Raises ``xapi.certificate``."""
        with self._lock:
            if self._context is None:
                self._context = context_for(self._system)
            return self._context

    @property
    def url(self) -> str:
        """``https://host[:port]`` of the coordinator, as far as it is known."""
        login = self._login
        return login.url if login is not None else _base(self._system.url)

    def session(self) -> str:
        """The session ref, for a cookie and nothing else: it is worth a password."""
        return self._logged_in().session

    def renew(self, session: str) -> None:
        """That session was refused: the next call logs in again."""
        login = self._login
        if login is not None and login.session == session:
            self._forget(login)

    def call(self, method: str, *params: Any, patience: float = CALL_SECONDS) -> Any:
        """Ask XAPI, as ``call("VM.get_by_uuid", uuid)``. Integers travel as strings.

        Raises:
            XapiFailure: what XAPI answered, classified.
            FerryError: ``xapi.unreachable``, ``xapi.certificate``, ``xapi.login_refused``.
        """
        renewed = hops = tries = 0
        while True:
            login = self._logged_in()
            try:
                return self._ask(login.url, method, (login.session, *params), patience)
            except XapiFailure as failure:
                if failure.wire == "SESSION_INVALID" and not renewed:
                    renewed = 1
                    self._forget(login)
                elif failure.wire == "HOST_IS_SLAVE" and failure.params and hops < HOPS:
                    hops += 1
                    self._forget(login, self._address(failure.params[0]))
                else:
                    raise
            except _Unreachable as error:
                tries += 1
                if tries >= READ_TRIES or not (error.unsent or _only_reads(method)):
                    raise
                if error.unsent:
                    self._forget(login)  # perhaps another host is the coordinator now
                time.sleep(0.3 * 3**tries)

    def close(self) -> None:
        """Log out and hang up. Never raises."""
        with self._login_lock, self._lock:
            login, self._login = self._login, None
        if login is not None:
            with contextlib.suppress(FerryError):
                self._ask(login.url, "session.logout", (login.session,), 10.0)
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    # -- the login

    def _logged_in(self) -> _Login:
        login = self._login
        if login is not None:
            return login
        with self._login_lock:
            if self._login is None:
                self._login = self._log_in()
                self._learn_hosts(self._login)
            return self._login

    def _forget(self, login: _Login, coordinator: str | None = None) -> None:
        with self._login_lock:
            if self._login == login:
                self._login = None
            if coordinator is not None:
                self._known = [coordinator, *(each for each in self._known if each != coordinator)]

    def _log_in(self) -> _Login:
        """On the first host that answers; a member names the coordinator (xapi.md §3.11)."""
        last: FerryError | None = None
        for url in dict.fromkeys([*self._known[:1], _base(self._system.url), *self._known]):
            try:
                return self._log_in_at(url)
            except _Unreachable as error:
                last = error
        assert last is not None
        raise last

    def _log_in_at(self, url: str) -> _Login:
        password = resolve(self._system.password)
        if self._refused is not None and self._refused[1] == password:  # another one has been put in its place, or not
            raise FerryError(self._refused[0].code, self._refused[0].message)
        for _ in range(HOPS):
            try:
                params = (self._system.username, password, "1.1", ORIGINATOR)
                session = str(self._ask(url, "session.login_with_password", params, 20.0))
                self._refused = None
                return _Login(url, keep(session, passing=True))
            except XapiFailure as failure:
                if failure.wire == "HOST_IS_SLAVE" and failure.params:
                    url = self._address(failure.params[0])
                elif failure.code == "xapi.login_refused":
                    told = f"{self.name}: user {self._system.username!r} was refused; this password is not tried again"
                    self._refused = FerryError("xapi.login_refused", told), password
                    raise self._refused[0] from None
                else:
                    raise
        raise FerryError("xapi.unreachable", f"{self.name}: hosts name each other as coordinator, round and round")

    def _learn_hosts(self, login: _Login) -> None:
        """Whom to ask when the coordinator is gone one day."""
        with contextlib.suppress(FerryError):
            hosts = self._ask(login.url, "host.get_all_records", (login.session,), CALL_SECONDS)
            self._known = [login.url, *(self._address(each["address"]) for each in hosts.values() if each["address"])]

    def _address(self, address: str) -> str:
        """A host that XAPI names by its address, at the port that we use: ``https://…``."""
        return f"https://{netloc(address, urlsplit(self._system.url).port)}"

    # -- the wire

    def _ask(self, url: str, method: str, params: tuple[Any, ...], patience: float) -> Any:
        host = urlsplit(url).hostname or url
        with self._line(url) as line:
            try:
                answer = line.ask(method, params, patience)
            except NotSent as error:
                raise unreachable(host, method, error.__cause__, unsent=True) from None
            except Failures as error:
                raise unreachable(host, method, error, unsent=False) from None
        if not isinstance(answer, dict) or "Status" not in answer:
            raise FerryError("xapi.failure", f"{host}: {method}: an answer without a status")
        if answer["Status"] == "Success":
            return answer.get("Value", "")
        raise XapiFailure(method, answer.get("ErrorDescription", []))

    @contextlib.contextmanager
    def _line(self, url: str) -> Iterator[Line]:
        context = self.context
        with self._lock:
            line = next((each for each in self._idle if each.url == url), None)
            if line is not None:
                self._idle.remove(line)
        line = line or Line(url, context)
        try:
            yield line
        finally:
            with self._lock:
                self._idle.append(line)


class _Unreachable(FerryError):
    """``unsent``: the call never left, so that it is safe to repeat."""

    def __init__(self, message: str, *, unsent: bool) -> None:
        super().__init__("xapi.unreachable", message)
        self.unsent = unsent


def unreachable(host: str, method: str, cause: BaseException | None, *, unsent: bool) -> FerryError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return FerryError("xapi.certificate", f"{host}: {cause.verify_message}")
    return _Unreachable(f"{host}: {method}: {spoken(cause)}", unsent=unsent)


def spoken(cause: BaseException | None) -> str:
    """A network error without addresses, headers or bodies."""
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__


def netloc(address: str, port: int | None) -> str:
    """``host[:port]`` of an address that may be IPv6, and may name its port itself."""
    if address.startswith("["):
        parts = urlsplit(f"https://{address}")
        address, port = parts.hostname or address, parts.port or port
    elif address.count(":") == 1:
        host, _, own = address.partition(":")
        address, port = host, int(own) if own.isdigit() else port
    if ":" in address:
        address = f"[{address}]"
    return address if port is None else f"{address}:{port}"


def _base(url: str) -> str:
    return f"https://{urlsplit(url).netloc}"


def _only_reads(method: str) -> bool:
    return method.partition(".")[2].startswith(("get_", "assert_"))
