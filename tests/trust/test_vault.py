"""Secrets from Vault, read from a real server of its API."""

import pytest

from contracts.errors import FerryError
from tests.trust.vault_server import running_vault
from trust.references import resolve

PASSWORD = ':"$ü%<&> sesame'


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    with running_vault(tmp_path_factory.mktemp("v") / "vault", 'root:"$ü%') as server:
        server.ask("POST", "secret/data/ferry/vc", data={"password": PASSWORD, "pin": 4711})
        server.ask("POST", "sys/mounts/old", type="kv", options={"version": "1"})
        server.ask("POST", "old/pool", password=PASSWORD)
        server.ask("POST", "secret/data/gone", data={"password": PASSWORD})
        server.ask("DELETE", "secret/data/gone")
        yield server


@pytest.fixture(autouse=True)
def told_where_it_is(vault, monkeypatch):
    for name, value in vault.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("VAULT_NAMESPACE", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


def code_of(reference):
    with pytest.raises(FerryError) as told:
        resolve(reference)
    assert PASSWORD not in str(told.value)
    return told.value.code


@pytest.mark.parametrize(
    "reference", ["vault:secret/data/ferry/vc#password", "vault:secret/ferry/vc#password", "vault:old/pool#password"]
)
def test_a_password_is_read_from_either_version_of_the_engine_by_either_path(reference):
    assert resolve(reference) == PASSWORD


def test_a_number_is_a_secret_too():
    assert resolve("vault:secret/ferry/vc#pin") == "4711"


def test_a_corrected_password_counts_at_once(vault):
    vault.ask("POST", "secret/data/ferry/new", data={"password": "first"})
    before = resolve("vault:secret/ferry/new#password")
    vault.ask("POST", "secret/data/ferry/new", data={"password": "second"})

    assert (before, resolve("vault:secret/ferry/new#password")) == ("first", "second")


@pytest.mark.parametrize(
    "reference",
    [
        "vault:secret/nowhere#password",
        "vault:secret/ferry/vc#user",
        "vault:secret/gone#password",
        "vault:secret/ferry/vc",
    ],
)
def test_what_is_not_there_is_told(reference):
    assert code_of(reference) == "config.secret_missing"


def test_a_token_that_may_not_is_refused(vault, monkeypatch):
    weak = vault.ask("POST", "auth/token/create", policies=["default"])["auth"]["client_token"]
    monkeypatch.setenv("VAULT_TOKEN", weak)
    assert code_of("vault:secret/ferry/vc#password") == "vault.refused"
    monkeypatch.setenv("VAULT_TOKEN", "nobody's")
    assert code_of("vault:secret/ferry/vc#password") == "vault.refused"


def test_a_policy_for_the_one_path_is_enough_for_both_spellings(vault, monkeypatch):
    vault.ask("PUT", "sys/policies/acl/ferry", policy='path "secret/data/ferry/*" { capabilities = ["read"] }')
    monkeypatch.setenv(
        "VAULT_TOKEN", vault.ask("POST", "auth/token/create", policies=["ferry"])["auth"]["client_token"]
    )

    assert resolve("vault:secret/ferry/vc#password") == resolve("vault:secret/data/ferry/vc#password") == PASSWORD


def test_the_token_may_come_from_the_file_that_an_agent_keeps(vault, monkeypatch, tmp_path):
    file = tmp_path / "token"
    file.write_text(vault.environment["VAULT_TOKEN"] + "\n", encoding="utf-8")
    monkeypatch.delenv("VAULT_TOKEN")
    assert code_of("vault:secret/ferry/vc#password") == "vault.refused"
    monkeypatch.setenv("VAULT_TOKEN_FILE", str(file))

    assert resolve("vault:secret/ferry/vc#password") == PASSWORD


def test_an_approle_logs_in_by_itself(vault, monkeypatch):
    vault.ask("PUT", "sys/policies/acl/ferry", policy='path "secret/data/ferry/*" { capabilities = ["read"] }')
    vault.ask("POST", "sys/auth/approle", type="approle")
    vault.ask("POST", "auth/approle/role/worker", token_policies=["ferry"])
    role = vault.ask("GET", "auth/approle/role/worker/role-id")["data"]["role_id"]
    secret = vault.ask("POST", "auth/approle/role/worker/secret-id")["data"]["secret_id"]
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", role)
    monkeypatch.setenv("VAULT_SECRET_ID", secret)
    assert resolve("vault:secret/ferry/vc#password") == PASSWORD
    monkeypatch.setenv("VAULT_SECRET_ID", "00000000-0000-0000-0000-000000000000")

    assert code_of("vault:secret/ferry/vc#password") == "vault.refused"


def test_a_vault_that_nobody_vouches_for_gets_no_token(monkeypatch):
    monkeypatch.delenv("VAULT_CACERT")
    assert code_of("vault:secret/ferry/vc#password") == "vault.unreachable"


def test_a_vault_without_tls_elsewhere_gets_no_token(monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "http://vault.example:8200")
    assert code_of("vault:secret/ferry/vc#password") == "config.invalid"


def test_a_vault_that_is_down_is_told(monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:1")
    assert code_of("vault:secret/ferry/vc#password") == "vault.unreachable"
    monkeypatch.setenv("VAULT_ADDR", "")
    assert code_of("vault:secret/ferry/vc#password") == "config.invalid"
