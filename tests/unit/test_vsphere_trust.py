"""Whom a system's client trusts, and where its password comes from: real certificates, a real TLS server."""

import hashlib
import socket
import ssl
import sys
import threading
from types import ModuleType

import pytest

from contracts.config import SourceConfig
from contracts.errors import FerryError
from platforms.secrets import resolve
from platforms.tls import context_for
from simulators.authority import Authority


class Server:
    """Shakes hands and counts what it was told: for the leaf is to be fetched without saying anything."""

    def __init__(self, folder, host="127.0.0.1"):
        self._context = Authority(folder).server_context(host)
        self._listener = socket.create_server((host, 0))
        self.heard = b""
        self.address = self._listener.getsockname()[:2]
        self.url = f"https://{host}:{self.address[1]}"
        self.pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert((folder / f"{host}.pem").read_text())).hexdigest()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as spoken:
                    self.heard += spoken.recv(1000)
            except OSError:
                continue

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # a thread waits in accept
        self._listener.close()


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.close()


def trusted(server, folder, **trust):
    system = SourceConfig(url=server.url, username="u", password="env:NOT_SET_ANYWHERE", **trust)
    context = context_for(system)
    with socket.create_connection(server.address, 5) as plain:
        with context.wrap_socket(plain, server_hostname=server.address[0]):
            return True


def code_of(work, *args, **more):
    with pytest.raises(FerryError) as told:
        work(*args, **more)
    return told.value.code


def test_the_ca_of_the_config_is_trusted(server, tmp_path):
    assert trusted(server, tmp_path, ca_file=tmp_path / "ca.pem")


def test_nobody_is_trusted_for_being_on_this_machine(server, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        trusted(server, tmp_path)


def test_another_ca_is_not_trusted(server, tmp_path):
    Authority(tmp_path / "other")

    with pytest.raises(ssl.SSLCertVerificationError):
        trusted(server, tmp_path, ca_file=tmp_path / "other" / "ca.pem")


@pytest.mark.parametrize("write", [str, str.upper, lambda pin: ":".join(pin[at : at + 2] for at in range(0, 64, 2))])
def test_a_pin_is_trusted_however_it_is_written(server, tmp_path, write):
    assert trusted(server, tmp_path, tls_sha256=["00" * 32, write(server.pin)])


def test_a_wrong_pin_is_refused_and_nothing_was_said(server, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError) as told:
        trusted(server, tmp_path, tls_sha256=["00" * 32])

    assert server.pin in told.value.verify_message, "so that an operator can compare it, and write it down"
    assert server.heard == b""


def test_a_pin_trusts_that_one_certificate_and_not_its_ca(server, tmp_path):
    other = Server(tmp_path / "elsewhere")
    system = SourceConfig(url=server.url, username="u", password="env:X", tls_sha256=[server.pin])
    context = context_for(system)

    with socket.create_connection(other.address, 5) as plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname=other.address[0])
    other.close()


def test_insecure_must_be_written_out(server, tmp_path):
    assert trusted(server, tmp_path, insecure=True)


def test_a_ca_file_that_is_none_is_a_matter_of_the_config(server, tmp_path):
    (tmp_path / "empty.pem").write_text("")

    assert code_of(trusted, server, tmp_path, ca_file=tmp_path / "empty.pem") == "config.invalid"
    assert code_of(trusted, server, tmp_path, ca_file=tmp_path / "none.pem") == "config.invalid"


def test_a_secret_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("A_PASSWORD", "sesame ")

    assert resolve("env:A_PASSWORD") == "sesame "


def test_a_secret_comes_from_a_file_without_its_last_newline(tmp_path):
    (tmp_path / "word").write_text(" sesame \r\n")

    assert resolve(f"file:{tmp_path / 'word'}") == " sesame "


def test_a_secret_comes_from_the_keyring_where_there_is_one(monkeypatch):
    keyring = ModuleType("keyring")
    keyring.get_password = lambda service, user: {("vc", "ferry"): "sesame"}.get((service, user))
    monkeypatch.setitem(sys.modules, "keyring", keyring)

    assert resolve("keyring:vc/ferry") == "sesame"
    assert code_of(resolve, "keyring:vc/nobody") == "config.secret_missing"


def test_a_keyring_that_is_locked_or_absent_is_told(monkeypatch):
    keyring = ModuleType("keyring")

    def locked(service, user):
        raise RuntimeError("no backend")

    keyring.get_password = locked
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert code_of(resolve, "keyring:vc/ferry") == "config.secret_missing"
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(FerryError, match="Python package"):
        resolve("keyring:vc/ferry")


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "file:/nowhere/at/all", "sesame", ""])
def test_a_secret_that_is_not_there_is_told(reference):
    assert code_of(resolve, reference) == "config.secret_missing"


def test_a_password_that_was_written_where_a_reference_belongs_is_not_repeated():
    with pytest.raises(FerryError) as told:
        resolve("sesame")

    assert "sesame" not in str(told.value)
