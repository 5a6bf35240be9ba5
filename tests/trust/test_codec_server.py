"""The codec server: who holds the token reads, nobody else."""

import base64
import json
import ssl
import threading
from contextlib import contextmanager

import httpx
import pytest

from contracts.errors import FerryError
from simulators.authority import Authority
from starter.codec_server import MOST, CodecServer, Door
from starter.codec_serving import serve
from trust.sealing import SealingCodec, key_of

KEY, TOKEN = "a passphrase for these tests", ':"$ü%token'
UI = "https://temporal.example"
PAYLOADS = {"payloads": [{"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": "InNlc2FtZSI="}]}
BEARER = [(b"Authorization", b"Bearer " + TOKEN.encode())]


@contextmanager
def serving(tls=None, codec_keys=(KEY,), **door):
    codec = SealingCodec([key_of(each) for each in codec_keys])
    with CodecServer(("127.0.0.1", 0), codec, Door(**door), tls) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def asked(url, said=PAYLOADS, headers=BEARER, **more):
    return httpx.post(url, json=said, headers=headers, trust_env=False, timeout=10, **more)


def test_what_is_encoded_is_encrypted_and_decodes_to_what_it_was():
    with serving(token=TOKEN) as url:
        sealed = asked(f"{url}/encode").raise_for_status().json()
        opened = asked(f"{url}/decode", sealed).raise_for_status().json()

    assert "InNlc2FtZSI=" not in json.dumps(sealed)
    assert sealed["payloads"][0]["metadata"]["encoding"] == base64.b64encode(b"binary/encrypted").decode()
    assert opened == PAYLOADS


@pytest.mark.parametrize("headers", [[], [(b"Authorization", b"Bearer wrong")], [(b"Authorization", TOKEN.encode())]])
def test_without_the_token_nothing_is_decoded(headers):
    with serving(token=TOKEN) as url:
        sealed = asked(f"{url}/encode").json()
        answer = asked(f"{url}/decode", sealed, headers)

    assert answer.status_code == 401
    assert "payloads" not in answer.text


def test_the_browser_lets_the_web_ui_in_and_no_other_page():
    with serving(token=TOKEN, origin=UI) as url:
        may = httpx.options(f"{url}/decode", headers={"Origin": UI}, trust_env=False)
        may_not = httpx.options(f"{url}/decode", headers={"Origin": "https://evil.example"}, trust_env=False)
        answer = asked(f"{url}/decode", headers=[*BEARER, (b"Origin", UI.encode())])

    assert may.status_code == 204
    assert may.headers["Access-Control-Allow-Origin"] == answer.headers["Access-Control-Allow-Origin"] == UI
    assert {"authorization", "content-type", "x-namespace"} <= {
        each.strip().lower() for each in may.headers["Access-Control-Allow-Headers"].split(",")
    }
    assert "POST" in may.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Origin" not in may_not.headers


def test_without_a_token_a_page_that_calls_itself_by_our_address_is_refused():
    with serving() as url:
        here = asked(f"{url}/encode", headers=[])
        elsewhere = asked(f"{url}/encode", headers=[(b"Host", b"evil.example:8081")])

    assert (here.status_code, elsewhere.status_code) == (200, 401)


def test_another_namespace_is_not_served():
    with serving(token=TOKEN, namespaces=frozenset({"prod"})) as url:
        ours = asked(f"{url}/encode", headers=[*BEARER, (b"X-Namespace", b"prod")])
        theirs = asked(f"{url}/encode", headers=[*BEARER, (b"X-Namespace", b"test")])

    assert (ours.status_code, theirs.status_code) == (200, 403)


def test_nonsense_is_answered_and_a_key_that_is_missing_is_named():
    with serving(token=TOKEN, codec_keys=("another passphrase, the old one",)) as url:
        sealed = asked(f"{url}/encode").json()
    with serving(token=TOKEN) as url:
        missing = asked(f"{url}/decode", sealed)
        codes = [
            asked(f"{url}/decode", {"payloads": 1}).status_code,
            asked(f"{url}/decode", ["x"]).status_code,
            httpx.post(f"{url}/decode", content=b"\xff{", headers=BEARER, trust_env=False).status_code,
            asked(f"{url}/elsewhere").status_code,
            httpx.post(f"{url}/decode", content=b"x" * (MOST + 1), headers=BEARER, trust_env=False).status_code,
        ]

    assert missing.status_code == 400
    assert "temporal.payload_key_missing" in missing.json()["message"]
    assert codes == [400, 400, 400, 404, 413]


def test_it_speaks_tls(tmp_path):
    context = Authority(tmp_path).server_context("127.0.0.1")
    with serving(tls=context, token=TOKEN) as url:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        assert asked(f"{url}/encode", verify=trusting).status_code == 200


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"bind": "0.0.0.0:0", "token": "env:A_TOKEN"}, "--tls-cert"),
        ({"bind": "0.0.0.0:0"}, "--token"),
        ({"origin": "*"}, "--origin"),
        ({"bind": "8081"}, "HOST:PORT"),
    ],
)
def test_what_would_lay_payloads_open_is_refused(given, told):
    words = {"bind": "127.0.0.1:0", "token": None, "origin": None} | given
    with pytest.raises(FerryError, match=told) as refused:
        serve(words["bind"], words["token"], words["origin"], [], None, None, None)

    assert refused.value.code == "request.invalid"
