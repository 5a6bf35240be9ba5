"""A real server of Vault's API: OpenBao, the fork of Vault under the Linux Foundation, in memory and over TLS."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import not_tested


class VaultServer:
    """Its ``environment`` is what a program needs to read from it as root."""

    def __init__(self, folder: Path, token: str) -> None:
        program = Path(sys.executable).parent / "bao"
        if not program.exists():
            not_tested("OpenBao is missing (`make judges` installs it), so secrets from Vault are NOT tested")
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.ca_file = folder / "vault-ca.pem"
        self.environment = {
            "VAULT_ADDR": f"https://127.0.0.1:{port}",
            "VAULT_CACERT": str(self.ca_file),
            "VAULT_TOKEN": token,
        }
        with (folder / "vault.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={folder}", "-dev-no-store-token",
                 f"-dev-listen-address=127.0.0.1:{port}"],
                env={**os.environ, "BAO_DEV_ROOT_TOKEN_ID": token, "HOME": str(folder)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._token = token
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, httpx.HTTPError):
                if self.ask("GET", "sys/health").get("sealed") is False:
                    return
            time.sleep(0.1)
        raise AssertionError((folder / "vault.log").read_text()[-2000:])

    def ask(self, method: str, path: str, **said: Any) -> Any:
        """As root."""
        import ssl

        verify = ssl.create_default_context(cafile=str(self.ca_file))
        with httpx.Client(verify=verify, headers=[(b"X-Vault-Token", self._token.encode())], trust_env=False) as client:
            answer = client.request(method, f"{self.environment['VAULT_ADDR']}/v1/{path}", json=said or None)
        answer.raise_for_status()
        return answer.json() if answer.content else {}


@contextmanager
def running_vault(folder: Path, token: str = "root-of-the-tests") -> Iterator[VaultServer]:
    """Until the block ends; what it held is gone then."""
    server = VaultServer(folder, token)
    try:
        yield server
    finally:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
