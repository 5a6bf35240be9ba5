"""Temporal behind TLS, client certificates and API keys, as Temporal's own environment configuration names them."""

import asyncio
import os
import subprocess
import sys

import pytest
from temporalio.client import Client

from contracts.config import TemporalConfig
from contracts.errors import FerryError
from simulators.authority import Authority
from starter.connecting import connect
from tests.conformance.temporal_gate import gate
from tests.end_to_end.running import BIN, ROOT

KEY = ':"$%of-Temporal'


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    ours, other = (Authority(tmp_path_factory.mktemp(name)) for name in ("ours", "other"))
    return ours, other


def asked(**environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return subprocess.run(
        [BIN / "ferry", "status"], cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=60
    )


def tls(authority, client=None):
    found = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.ca_file)}
    if client is not None:
        certificate, key = client.client("ferry")
        found |= {"TEMPORAL_TLS_CLIENT_CERT_PATH": str(certificate), "TEMPORAL_TLS_CLIENT_KEY_PATH": str(key)}
    return found


def test_a_client_certificate_is_shown_and_without_the_right_one_nobody_comes_in(dev_server, authorities):
    ours, other = authorities
    with gate(dev_server.address, ours, client_certificates=True) as (address, seen):
        cases = {
            "plain": asked(TEMPORAL_ADDRESS=address),
            "no certificate": asked(TEMPORAL_ADDRESS=address, **tls(ours)),
            "of another CA": asked(TEMPORAL_ADDRESS=address, **tls(ours, other)),
            "a server that we do not trust": asked(TEMPORAL_ADDRESS=address, **tls(other, ours)),
        }
        assert seen.calls == []
        good = asked(TEMPORAL_ADDRESS=address, **tls(ours, ours))

    assert good.returncode == 0, good.stderr
    assert {name: (ended.returncode, ended.stderr.split(":")[0]) for name, ended in cases.items()} == dict.fromkeys(
        cases, (10, "error[temporal.certificate]")
    )


def test_an_api_key_is_shown_with_every_call_and_never_told(dev_server, authorities):
    ours, _ = authorities
    with gate(dev_server.address, ours, api_key=KEY) as (address, seen):
        without = asked(TEMPORAL_ADDRESS=address, **tls(ours))
        wrong = asked(TEMPORAL_ADDRESS=address, TEMPORAL_API_KEY=KEY + "x", **tls(ours))
        refused = seen.refused
        good = asked(TEMPORAL_ADDRESS=address, TEMPORAL_API_KEY=KEY, **tls(ours))

    assert refused == 2
    assert (without.returncode, wrong.returncode) == (10, 10)
    assert "error[temporal.refused]" in without.stderr
    assert "error[temporal.refused]" in wrong.stderr
    assert KEY not in wrong.stdout + wrong.stderr
    assert good.returncode == 0, good.stderr
    assert seen.refused == refused


def test_a_profile_of_temporal_s_own_file_is_honoured(dev_server, authorities, tmp_path):
    ours, _ = authorities
    certificate, key = ours.client("profile")
    with gate(dev_server.address, ours, client_certificates=True) as (address, seen):
        file = tmp_path / "temporal.toml"
        file.write_text(
            f'[profile.prod]\naddress = "{address}"\nnamespace = "default"\n[profile.prod.tls]\n'
            f'server_ca_cert_path = "{ours.ca_file}"\nclient_cert_path = "{certificate}"\nclient_key_path = "{key}"\n'
        )
        good = asked(TEMPORAL_CONFIG_FILE=str(file), TEMPORAL_PROFILE="prod")

    assert good.returncode == 0, good.stderr
    assert any("ListWorkflowExecutions" in call for call in seen.calls)


def test_a_worker_that_is_not_let_in_says_why_and_ends(dev_server, authorities, tmp_path):
    ours, _ = authorities
    config = tmp_path / "ferry.toml"
    config.write_text(f'[store]\npath = "{tmp_path / "store"}"\n')
    with gate(dev_server.address, ours, client_certificates=True) as (address, _):
        ended = subprocess.run(
            [sys.executable, "worker.py", "--config", config], cwd=ROOT, capture_output=True, text=True, timeout=60,
            env={**os.environ, "TEMPORAL_ADDRESS": address, **tls(ours)},
        )  # fmt: skip

    assert ended.returncode == 10
    assert "error[temporal.certificate]" in ended.stderr


@pytest.mark.parametrize(
    "cause",
    [
        'Io, Os { code: 104, kind: ConnectionReset, message: "Connection reset by peer" }',
        'Io, Custom { kind: UnexpectedEof, error: "peer closed connection without sending TLS close_notify" }',
        'Io, Custom { kind: BrokenPipe, error: "stream closed because of a broken pipe" }',
        'Canceled, "connection closed"',
    ],
)
def test_whatever_way_a_server_hangs_up_on_a_client_without_a_certificate_it_is_told_so(monkeypatch, cause):
    """Which of them it is depends on whose bytes are first: all were seen against the gate, or in CI."""

    async def hangs_up(**_):
        raise RuntimeError(
            "Failed client connect: `get_system_info` call error after connection: Status { code: Unknown, message: "
            f'"transport error", source: Some(tonic::transport::Error(Transport, hyper::Error({cause}))) }}'
        )

    monkeypatch.setattr(Client, "connect", hangs_up)
    with pytest.raises(FerryError) as failed:
        asyncio.run(connect(TemporalConfig(address="temporal.example:7233")))

    assert failed.value.code == "temporal.certificate"
    assert "a client certificate that it trusts" in str(failed.value)
