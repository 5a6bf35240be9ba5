"""A fleet as one page that stands alone, in the dress of an assessment. Every value is escaped, and the page's own
Content-Security-Policy forbids what a value could do all the same: it loads nothing, and runs no script at all."""

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from contracts.fleet_rows import MemberRow
from starter import assessment
from starter.fleets import SeenFleet
from starter.views.words import seconds, size

_STYLE = Path(assessment.__file__).parent / "page.css"
_HEADS = (
    ("VM", ""), ("wave", ""), ("outcome", ""), ("approved by", ""), ("began (UTC)", ""), ("ended (UTC)", ""),
    ("downtime", "n"), ("passes", "n"), ("sent", "n"), ("what happened", ""),
)  # fmt: skip
_KINDS = {"done": "ready", "failed": "blocked", "cancelled": "warning", "skipped": "warning"}


def as_html(seen: SeenFleet, *, made: datetime | None = None) -> str:
    """The page."""
    style, now = _STYLE.read_text(encoding="utf-8"), seen.status
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = f"Fleet {escape(now.fleet)}"
    state = "It has ended." if now.over else "It is not over: this is how it stood."
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="told">{made or datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {state}</p>
{_cards(seen)}
<h2>Waves</h2>
<table>
<thead><tr><th>wave</th><th class="n">VMs</th><th class="n">done</th><th>others</th></tr></thead>
<tbody>
{_waves(seen)}
</tbody>
</table>
<h2>VMs</h2>
<table>
<thead><tr>{"".join(f'<th class="{kind}">{name}</th>' for name, kind in _HEADS)}</tr></thead>
<tbody>
{chr(10).join(_row(row) for row in seen.members)}
</tbody>
</table>
<footer>Made by <code>ferry report</code>. <code>ferry explain CODE</code> tells more of a code.</footer>
</body>
</html>
"""


def _cards(seen: SeenFleet) -> str:
    off = [row.downtime_s for row in seen.members if row.downtime_s is not None]
    cards = [
        ("VMs", f"{seen.status.members:,}", ""),
        *((name, f"{count:,}", _KINDS.get(name, "")) for name, count in seen.status.standing.items()),
        ("sent", size(seen.pace.bytes_sent), ""),
        *([("longest downtime", seconds(round(max(off))), "")] if off else []),
    ]
    made = "".join(f'<div class="card"><b class="{kind}">{escape(b)}</b>{escape(a)}</div>' for a, b, kind in cards)
    return f'<div class="cards">{made}</div>'


def _waves(seen: SeenFleet) -> str:
    def others(standing: dict[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in standing.items() if name != "done")

    return "\n".join(
        f'<tr><td class="name">{escape(wave.name)}</td><td class="n">{wave.members:,}</td>'
        f'<td class="n">{wave.standing.get("done", 0):,}</td><td>{escape(others(wave.standing))}</td></tr>'
        for wave in seen.status.waves
    )


def _row(row: MemberRow) -> str:
    def when(value: datetime | None) -> str:
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if value is not None else ""

    code = row.needs_human or row.code
    said = f'<span class="code">{escape(code)}</span> {escape(row.message)}' if code else escape(row.message)
    cells = (row.approved_by, when(row.began), when(row.ended))
    numbers = (seconds(row.downtime_s), str(row.passes or ""), size(row.bytes_sent) if row.bytes_sent else "")
    outcome = row.standing if row.standing != "running" else row.phase or "running"
    return (
        f'<tr><td class="name">{escape(row.vm)}</td><td>{escape(row.wave)}</td>'
        f'<td class="word {_KINDS.get(row.standing, "")}">{escape(outcome)}</td>'
        + "".join(f"<td>{escape(each)}</td>" for each in cells)
        + "".join(f'<td class="n">{escape(each)}</td>' for each in numbers)
        + f"<td>{said}</td></tr>"
    )
