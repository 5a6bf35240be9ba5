"""`ferry codec-server`: the `temporal` command line and the Web UI read what is encrypted."""

from pathlib import Path
from typing import Annotated

import typer

from starter.options import Config


def codec_server(
    bind: Annotated[str, typer.Option("--bind", help="HOST:PORT to listen on.")] = "127.0.0.1:8081",
    token: Annotated[
        str | None, typer.Option("--token", help="Bearer token that is wanted, by reference: file:PATH, env:NAME, …")
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--origin", help="The Web UI's address, such as https://temporal.example.")
    ] = None,
    namespace: Annotated[
        list[str] | None, typer.Option("--namespace", help="Serve this namespace only; may be repeated.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="PEM of its certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="PEM of its key.")] = None,
    config: Config = None,
) -> None:
    """Decode payloads for those who hold the token, with the keys of ferry.toml. Runs until Ctrl-C.

    Elsewhere than on loopback it wants --token, --tls-cert and --tls-key. When ready it prints one line.

    \b
    Examples:
      ferry codec-server --token file:/etc/ferry/secrets/codec
      export TEMPORAL_CODEC_ENDPOINT=http://127.0.0.1:8081
      export TEMPORAL_CODEC_AUTH="Bearer $(cat /etc/ferry/secrets/codec)"
      temporal workflow show -w migrate/vc/web01
    """
    from starter.codec_serving import serve

    serve(bind, token, origin, namespace or [], tls_cert, tls_key, config)
