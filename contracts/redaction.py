"""What is secret, and how it is taken out of anything that is told: errors, logs, failures.

Whoever comes to know a secret says so (:func:`keep`), and from then on no text that goes through :func:`redacted` shows
it, in any of the spellings that programs give it: as it is, quoted for a URL, JSON, XML or Python, or in base64.
Known by the process, not by the config: so a password that was corrected is hidden too, and so is the one before it.
"""

import base64
import html
import json
import re
import threading
from collections import deque
from functools import lru_cache
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

HIDDEN = "[hidden]"
SHORTEST = 4
"""Characters. What is shorter would be found in every other word."""
MOST_PASSING = 64
"""Sessions and cookies that are remembered: workers log in anew for months."""

_lock = threading.Lock()
_lasting: dict[str, None] = {}
_passing: deque[str] = deque(maxlen=MOST_PASSING)
_forms: tuple[str, ...] = ()
"""Of all of them, the longest first: what is part of another form must not spoil it."""

_HEADERS = re.compile(
    r"""(?ix) ( \b (?: (?:proxy-)? authorization | (?:set-)? cookie | x-vault-token | vmware-api-session-id
    | vmware_soap_session | session_id ) ) ( \\?["']? \s* [:=] \s* \\?["']? | \\?["'] \s* , \s* \\?["'] )
    ( (?: (?: bearer | basic | token ) \s+ )? (?: [\w-]+ = \\?["'] )? [^\s"'\\;,&}]{4,} )"""
)
"""Headers and cookies, whatever program quotes them: the word stays, what it holds goes."""


def keep(secret: str, *, passing: bool = False) -> str:
    """Note that this must never be told; the secret itself is given back.

    Args:
        passing: a session or cookie, of which there come many: the oldest are let go.
    """
    global _forms
    with _lock:
        if len(secret) >= SHORTEST and secret not in _lasting and secret not in _passing:
            if passing:
                _passing.append(secret)
            else:
                _lasting[secret] = None
            known = {form for each in (*_lasting, *_passing) for form in spellings(each)}
            _forms = tuple(sorted(known, key=len, reverse=True))
    return secret


def redacted(text: str) -> str:
    """The text without any secret that this process knows."""
    for form in _forms:
        if form in text:
            text = text.replace(form, HIDDEN)
    return _HEADERS.sub(rf"\1\2{HIDDEN}", text)


@lru_cache(maxsize=1024)
def spellings(secret: str) -> frozenset[str]:
    """The secret in each way in which a program would write it."""
    raw = secret.encode()
    urls = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    urls.add(quote(secret, safe="", encoding="latin-1", errors="replace"))
    urls |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), each) for each in urls}
    xmls = {escape(secret), _inside(quoteattr(secret)), html.escape(secret), html.escape(secret, quote=False)}
    xmls |= {each.encode("ascii", "xmlcharrefreplace").decode() for each in xmls}
    pythons = {_inside(repr(secret)), _inside(ascii(secret)), repr(raw)[2:-1]}
    found = {secret, *urls, *xmls, *pythons, *_base64s(raw)}
    for _ in range(2):  # JSON, and JSON in JSON: an error's body in a log line, a traceback in a payload
        found |= {_inside(json.dumps(each, ensure_ascii=plain)) for each in found for plain in (True, False)}
    found |= {each.replace("/", r"\/") for each in found}
    return frozenset(each for each in found if len(each) >= SHORTEST)


def _inside(quoted: str) -> str:
    return quoted[1:-1]


def _base64s(raw: bytes) -> set[str]:
    """Base64 of a text that holds it somewhere, such as ``user:password``: the characters that depend on it alone."""
    found: set[str] = set()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # Each character is six bits: left out are those that the bytes before or after it have a part in.
        core = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(core) >= SHORTEST + 2:
            found |= {core, core.replace("+", "-").replace("/", "_")}
    found.add(base64.b64encode(raw).decode())
    return found
