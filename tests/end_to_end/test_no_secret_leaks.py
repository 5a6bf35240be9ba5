"""A whole migration with secrets that are awkward to hide, and then a search for them in all that it left behind.

Nothing is let off: Temporal's database and decoded histories, every log, every command line that ran, reports, the
store, the lab's folder. The secrets' own files alone may hold them.
"""

import base64
import json
import random
import re
import secrets
import subprocess
from pathlib import Path

import pytest

from simulators.authority import Authority
from starter.temporal_server import DevServer, free_port
from tests.conformance.temporal_gate import gate
from tests.end_to_end.running import BIN, programs
from tests.trust.hunting import found_in, found_under, watching_command_lines
from tests.trust.vault_server import running_vault

MIB = 1 << 20
AWKWARD = ':"$ü%'
INVENTORY = """
vsphere:
  datastores: [{name: vmfs1, type: VMFS, vmfs: 6, base_readable: true}]
  vms:
    - name: web01
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:01"}]
      disks: [{image: disk.raw, datastore: vmfs1}]
      guest: {tools: running, writes_mib_per_s: 1, shutdown_seconds: 0.2}
xcpng:
  pool: lab
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


class Stage:
    """The installation: a Temporal behind TLS that wants a certificate and a key, a Vault, two systems, a worker."""

    def __init__(self, folder: Path, running, server: DevServer, vault, authority: Authority) -> None:
        self.folder, self.running, self.server, self.vault = folder, running, server, vault
        self.secrets: dict[str, str] = {}
        self.own_files: list[Path] = [running.state / "xcpng.password", running.state / "vsphere.password"]
        self._authority = authority

    def secret(self, name: str, *, sign: str = AWKWARD) -> str:
        self.secrets[name] = sign + secrets.token_urlsafe(15) + "<&>'"
        return self.secrets[name]

    def secret_file(self, name: str) -> Path:
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(self.secret(name) + "\n", encoding="utf-8")
        self.own_files.append(file)
        return file

    def say(self, *words: str, want: int) -> "subprocess.CompletedProcess[str]":
        """A `ferry` command; what it prints is kept, to be searched."""
        ended = self.running.ferry(*words)
        with (self.folder / "said.log").open("a", encoding="utf-8") as log:
            log.write(f"$ ferry {' '.join(words)}\n{ended.stdout}{ended.stderr}\n")
        assert ended.returncode == want, (words, ended.stdout, ended.stderr, self.log("worker"))
        return ended

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")[-3000:]

    def temporal(self, *words: str, **environment: str) -> str:
        """The `temporal` command line, past the gate: straight at the server."""
        return subprocess.run(
            [self.server.cli, *words, "--address", self.server.address], capture_output=True, text=True, check=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **environment},
        ).stdout  # fmt: skip


@pytest.fixture
def stage(tmp_path, temporal_cli):
    api_key = ':"$%' + secrets.token_urlsafe(15)  # a header of gRPC is ASCII
    authority = Authority(tmp_path / "temporal-ca")
    certificate, key = authority.client("ferry")
    (tmp_path / "disk.raw").write_bytes(random.Random(3).randbytes(6 * MIB) + bytes(26 * MIB))
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    with (
        DevServer(tmp_path / "temporal", cli=temporal_cli) as server,
        gate(server.address, authority, api_key=api_key, client_certificates=True) as (address, _),
        running_vault(tmp_path / "vault") as vault,
        programs(tmp_path, address) as running,
    ):
        server.cli = temporal_cli
        vault_token = AWKWARD + secrets.token_urlsafe(15)
        vault.ask("PUT", "sys/policies/acl/ferry", policy='path "secret/data/ferry" { capabilities = ["read"] }')
        vault.ask("POST", "auth/token/create", id=vault_token, policies=["ferry"])
        running.environment |= vault.environment | {
            "VAULT_TOKEN": vault_token,
            "TEMPORAL_API_KEY": api_key,
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.ca_file),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(certificate),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(key),
        }
        running.lab(tmp_path / "inventory.yaml")
        made = Stage(tmp_path, running, server, vault, authority)
        made.secrets |= {"Temporal's API key": api_key, "Vault's token": vault_token}
        for name in ("vsphere", "xcpng"):
            made.secrets[name] = (running.state / f"{name}.password").read_text(encoding="utf-8").rstrip("\n")
        payload_key = made.secret_file("payload-key")
        text = running.config.read_text(encoding="utf-8")
        text = text.replace(f"file:{running.state}/vsphere.password", "vault:secret/ferry#vsphere")
        running.config.write_text(text + f'\n[temporal]\npayload_key = "file:{payload_key}"\n', encoding="utf-8")
        yield made


@pytest.mark.timeout(900)  # a minute on an idle machine
def test_no_secret_is_found_in_anything_that_a_migration_leaves_behind(stage):
    running, folder = stage.running, stage.folder
    with watching_command_lines() as seen:
        stage.vault.ask("POST", "secret/data/ferry", data={"vsphere": stage.secret("a wrong password")})
        running.worker()
        waits = json.loads(stage.say("start", "web01", "--wait", "-o", "json", want=5).stdout)
        assert waits["needs_human"] == "vsphere.login_refused"
        stage.say("doctor", want=10)

        # Corrected in Vault: the worker that was refused logs in without a restart.
        stage.vault.ask("POST", "secret/data/ferry", data={"vsphere": stage.secrets["vsphere"]})
        echo = ["INTERNAL_ERROR", f"login {stage.secrets['xcpng']} of {stage.secrets['vsphere']}"]
        running.xapi("faults", method="VDI.create", action="error", argument=echo, count=-1)
        stage.say("retry", "web01", want=0)
        checked = {each["what"]: each["line"] for each in json.loads(stage.say("doctor", "-o", "json", want=0).stdout)}
        assert re.fullmatch(r"encrypted with the key [0-9a-f]{12}", checked["payloads"])
        stage.say("inventory", want=0)
        # A server that repeats a password in its answer.
        seen_until(stage, lambda seen: "login [hidden] of [hidden]" in json.dumps(seen["activities"]))
        running.mend()
        seen_until(stage, lambda seen: seen.get("awaits_approval"))
        stage.say("approve", "web01", "--yes", want=0)
        done = seen_until(stage, lambda seen: seen.get("report"))
        assert done["report"]["outcome"] == "done"
        stage.say("verify", "web01", want=0)
        stage.say("start", "nobody", "--wait", "-o", "json", want=2)
        stage.say("status", want=0)
        in_clear = started_in_clear(stage)
        without = without_the_key(stage)
        histories = kept_histories(stage)

    assert found_in(b"\n".join(seen.lines), stage.secrets) == []
    assert found_under([folder], stage.secrets, but=stage.own_files) == []
    assert b'"web01"' in histories["decoded"]
    assert b"vsphere.login_refused" in histories["decoded"]
    assert histories["payloads in clear"] == [(in_clear, b'{"source":"vsphere","vm":"nobody-2","target":"lab"}')]
    assert without.returncode == 10
    assert "error[temporal.payload_key_missing]" in without.stderr
    assert "Traceback" not in without.stderr


def seen_until(stage, wanted):
    found: dict = {}

    def asked():
        nonlocal found
        found = json.loads(stage.running.ferry("status", "web01", "-o", "json").stdout or "{}")
        return wanted(found)

    stage.running.until(asked, "worker", seconds=90)
    with (stage.folder / "said.log").open("a", encoding="utf-8") as log:
        log.write(json.dumps(found, ensure_ascii=False) + "\n" + json.dumps(found) + "\n")
    return found


def started_in_clear(stage):
    """By somebody who has no key: it is understood, and answered by those who have one."""
    workflow, said = "migrate/vsphere/nobody-2", '{"source":"vsphere","vm":"nobody-2","target":"lab"}'
    words = ["--type", "MigrateVm", "--task-queue", "ferry", "--workflow-id", workflow, "--input", said]
    stage.temporal("workflow", "start", *words)
    stage.running.until(
        lambda: "vm.unknown" in stage.running.ferry("status", "nobody-2", "-o", "json").stdout, "worker"
    )
    return workflow


def without_the_key(stage):
    """Somebody who asks without it."""
    config = stage.folder / "without-key.toml"
    config.write_text(stage.running.config.read_text(encoding="utf-8").partition("[temporal]")[0], encoding="utf-8")
    return subprocess.run(
        [BIN / "ferry", "status", "web01", "--config", config],
        env=stage.running.environment,
        capture_output=True,
        text=True,
    )


def kept_histories(stage):
    """Each history as it is in Temporal, and as the `temporal` command line shows it by way of the codec server."""
    token = stage.secret_file("codec-token")
    port = free_port()
    words = ["codec-server", "--bind", f"127.0.0.1:{port}", "--token", f"file:{token}"]
    stage.running.begin("codec", str(BIN / "ferry"), *words, "--config", str(stage.running.config))
    stage.running.until(lambda: "codec server" in stage.log("codec"), "codec")
    codec = {
        "TEMPORAL_CODEC_ENDPOINT": f"http://127.0.0.1:{port}",
        "TEMPORAL_CODEC_AUTH": f"Bearer {stage.secrets['codec-token']}",
    }
    listed = [json.loads(stage.temporal("workflow", "list", "--output", "json"))]
    runs = [(each["execution"]["workflowId"], each["execution"]["runId"]) for each in listed[0]]
    assert len(runs) >= 3
    decoded, clear = [], []
    for number, (workflow, run) in enumerate(runs):
        show = ("workflow", "show", "--workflow-id", workflow, "--run-id", run, "--output", "json")
        raw, opened = stage.temporal(*show, "--no-json-shorthand-payloads"), stage.temporal(*show, **codec)
        open_payloads = stage.temporal(*show, "--no-json-shorthand-payloads", **codec)
        decoded += [opened.encode(), *(data for _, data in payloads_of(json.loads(open_payloads)))]
        clear += [
            (workflow, data[:200]) for encoding, data in payloads_of(json.loads(raw)) if encoding != "binary/encrypted"
        ]
        for name, text in (("raw", raw), ("opened", opened), ("payloads", open_payloads)):
            (stage.folder / f"history-{number}-{name}.json").write_text(text, encoding="utf-8")
    (stage.folder / "history-payloads.bin").write_bytes(b"\n".join(decoded))
    return {"decoded": b"\n".join(decoded), "payloads in clear": clear}


def payloads_of(told, key=""):
    """``encoding, data`` of each payload in a history, but of search attributes, which are never encrypted."""
    if isinstance(told, list):
        for each in told:
            yield from payloads_of(each, key)
    elif isinstance(told, dict):
        if told.get("markerName") == "core_patch":  # the name of a change of the code, which the SDK never encrypts
            return
        if "metadata" in told and "encoding" in told["metadata"]:
            yield base64.b64decode(told["metadata"]["encoding"]).decode(), base64.b64decode(told.get("data", ""))
        else:
            for name, each in told.items():
                if name not in ("searchAttributes", "indexedFields", "upsertedSearchAttributes"):
                    yield from payloads_of(each, name)
