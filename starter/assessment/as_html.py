"""An assessment as one page that stands alone: it is mailed, kept and printed, and opened where there is no network.

Every value is escaped: a VM may be called anything. What a value could do all the same, the page's own
Content-Security-Policy forbids: it loads nothing, sends nothing, and runs the one script whose digest it names.
"""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from pathlib import Path

from contracts.assessment import BLOCKED, READY, WARNING, Assessed, Assessment, Sum, Totals
from contracts.error_catalogue import entry
from contracts.sizes import spoken_size
from contracts.steps import Check
from starter.views.assessment import lacks_told

_HERE = Path(__file__).parent
_HEADS = (
    ("VM", ""), ("power", ""), ("guest", ""), ("CPUs", "n"), ("memory", "n"), ("disks", "n"), ("size", "n"),
    ("verdict", ""), ("why", ""),
)  # fmt: skip
_RANK = {BLOCKED: 0, WARNING: 1, READY: 2}


def as_html(assessment: Assessment) -> str:
    """The page."""
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Migration assessment of {escape(assessment.origin)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="told">{_told(assessment)}</p>
{_cards(assessment.totals)}
{_reasons(assessment.totals)}
{_sentences("Of the whole", assessment.notes)}
{_sentences("Not looked at", lacks_told(assessment))}
<h2>VMs</h2>
<div class="sieve" hidden>
<input id="text" type="search" placeholder="name, code, anything else in a row"
 aria-label="only rows with these words">
<select id="verdict" aria-label="only rows with this verdict">
<option value="">all verdicts</option><option>blocked</option><option>warning</option><option>ready</option>
</select>
<output id="shown"></output>
</div>
<table id="machines">
<thead><tr>{"".join(f'<th class="{kind}"><button>{name}</button></th>' for name, kind in _HEADS)}</tr></thead>
<tbody>
{chr(10).join(_row(row) for row in assessment.machines)}
</tbody>
</table>
<footer>Made by <code>ferry assess</code>; nothing was touched.
<code>ferry explain CODE</code> tells more of a code.</footer>
<script>{script}</script>
</body>
</html>
"""


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _told(assessment: Assessment) -> str:
    against = f"Checked against {escape(assessment.target)}." if assessment.target else "No target was looked at."
    return f"{escape(f'{assessment.made_at:%Y-%m-%d %H:%M} UTC')}. {against}"


def _cards(totals: Totals) -> str:
    def card(what: str, some: Sum, kind: str) -> str:
        return (
            f'<div class="card"><b class="{kind}">{some.machines:,}</b>{what}'
            f"<br><span>{spoken_size(some.capacity)}</span></div>"
        )

    verdicts = ((READY, totals.ready), (WARNING, totals.warning), (BLOCKED, totals.blocked))
    bars, at = [], 0.0
    for kind, some in verdicts:
        width = 100 * some.machines / max(1, totals.all.machines)
        bars.append(f'<rect class="{kind}" x="{at:.3f}" width="{width:.3f}" height="1"/>')
        at += width
    size = f"{totals.all.capacity / (1 << 40):,.2f} TiB"
    return f"""<div class="cards">
<div class="card"><b>{totals.all.machines:,}</b>VMs<br><span>{totals.powered_on.machines:,} of them on</span></div>
<div class="card"><b>{size}</b>disks<br><span>{totals.all.disks:,} of them</span></div>
{card("ready", totals.ready, READY)}
{card("with warnings", totals.warning, WARNING)}
{card("blocked", totals.blocked, BLOCKED)}
</div>
<svg class="share" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="ready, with warnings, blocked">
{"".join(bars)}</svg>"""


def _reasons(totals: Totals) -> str:
    if not totals.reasons:
        return ""
    rows = "\n".join(
        f'<tr><td><a class="code sift" href="#machines">{escape(each.code)}</a></td>'
        f'<td class="word {escape(each.severity)}">{escape(each.severity)}</td>'
        f'<td class="n">{each.machines:,}</td><td class="n">{spoken_size(each.capacity)}</td>'
        f"<td>{escape(entry(each.code).meaning)}</td><td>{escape(entry(each.code).action)}</td></tr>"
        for each in totals.reasons
    )
    return f"""<h2>By reason</h2>
<table>
<thead><tr><th>code</th><th>severity</th><th class="n">VMs</th><th class="n">size</th>
<th>what it means</th><th>what to do</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _sentences(title: str, told: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(each)}</li>" for each in told)
    return f"<h2>{title}</h2>\n<ul class='told'>{lines}</ul>" if lines else ""


def _row(row: Assessed) -> str:
    def number(shown: object, key: int) -> str:
        return f'<td class="n" data-key="{key}">{shown}</td>'

    return (
        f'<tr data-verdict="{escape(row.verdict)}"><td class="name">{escape(row.name)}</td>'
        f'<td class="word">{escape(row.power)}</td><td class="guest">{escape(row.guest)}</td>'
        f"{number(row.cpus, row.cpus)}{number(spoken_size(row.memory), row.memory)}"
        f"{number(row.disks, row.disks)}{number(spoken_size(row.capacity), row.capacity)}"
        f'<td class="word {escape(row.verdict)}" data-key="{_RANK.get(row.verdict, 3)}">{escape(row.verdict)}</td>'
        f'<td class="why"><ul>{"".join(_finding(each) for each in row.checks)}</ul></td></tr>'
    )


def _finding(check: Check) -> str:
    return (
        f'<li><span class="code {escape(check.severity)}">{escape(check.code)}</span> '
        f"<span>{escape(check.message)}</span></li>"
    )
