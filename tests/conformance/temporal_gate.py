"""A gate in front of a Temporal server: TLS, a client certificate or an API key demanded, as Temporal Cloud does.

The dev server speaks neither, so a real gRPC server (grpcio) ends the TLS, checks each call, and passes its bytes on
unread to the dev server behind it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from simulators.authority import Authority


class Gate(grpc.GenericRpcHandler):
    """``seen``: what callers showed. An ``api_key`` is compared on every call."""

    def __init__(self, behind: str, api_key: str | None) -> None:
        self._channel = grpc.insecure_channel(behind, options=[("grpc.max_receive_message_length", -1)])
        self._api_key = api_key
        self.calls: list[str] = []
        self.refused = 0

    def service(self, handler_call_details: Any) -> Any:
        method, metadata = handler_call_details.method, dict(handler_call_details.invocation_metadata)

        def passed_on(request: bytes, context: Any) -> bytes:
            if self._api_key is not None and metadata.get("authorization") != f"Bearer {self._api_key}":
                self.refused += 1
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized.")
            self.calls.append(method)
            call = self._channel.unary_unary(method, lambda raw: raw, lambda raw: raw)
            kept = [
                (key, value)
                for key, value in metadata.items()
                if key.startswith(("temporal-", "client-", "supported-"))
            ]
            try:
                return call(request, timeout=context.time_remaining(), metadata=kept)
            except grpc.RpcError as error:
                context.set_trailing_metadata(tuple((key, value) for key, value in error.trailing_metadata() or ()))
                context.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(passed_on)


@contextmanager
def gate(
    behind: str, authority: Authority, *, api_key: str | None = None, client_certificates: bool = False
) -> Iterator[tuple[str, Gate]]:
    """Its address and the gate, until the block ends. Its certificate is for ``localhost`` and signed by that CA."""
    authority.server_context("localhost")
    folder: Path = authority.folder
    handler = Gate(behind, api_key)
    server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((handler,))
    pair = ((folder / "localhost.key").read_bytes(), (folder / "localhost.pem").read_bytes())
    wanted = authority.ca_file.read_bytes() if client_certificates else None
    credentials = grpc.ssl_server_credentials([pair], wanted, require_client_auth=client_certificates)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}", handler
    finally:
        server.stop(0).wait()
