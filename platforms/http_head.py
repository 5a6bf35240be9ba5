"""The head of an HTTP answer: its status and headers, bounded.

For the two roads on which disks go by the gigabyte. ``http.client`` parses a head by the email package and takes about
four times as long for it, which counts where one is read for each MiB.
"""

import io

MOST = 64 << 10
"""Bytes of a head."""


def read_head(reader: io.BufferedReader) -> tuple[int, dict[str, str]]:
    """Status and headers, their names in lower case; the reader stands at the body's first byte then.

    Raises:
        OSError: the connection failed, or ended too early.
        ValueError: these bytes are not HTTP, or the head has no end.
    """
    budget = MOST
    lines: list[bytes] = []
    while True:
        line = reader.readline(budget)
        budget -= len(line)
        if not line.endswith(b"\n"):
            if not budget:
                raise ValueError("the answer's head has no end")
            raise ConnectionError("the answer ends before its head does")
        if not line.strip():
            break
        lines.append(line.strip())
    if not lines:
        raise ValueError("an answer without a status line")
    version, _, rest = lines[0].partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("not an HTTP answer")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(rest[:3]), headers
