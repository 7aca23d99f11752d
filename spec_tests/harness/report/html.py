"""The report as one page of HTML."""

from __future__ import annotations

import json
import re
from html import escape
from itertools import groupby

from spec_tests.harness.report.mistakes import mistakes, opening, rest
from spec_tests.harness.report.words import (
    Finding,
    attributes,
    counts,
    error_against_bound,
    in_words,
    remark,
    summary,
    tests_failed,
)

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --line: #e2dfda; --text: #22242a; --faint: #5c606a;
  --failed: #b3261e; --passed: #1f6f3d; --open: #7a5600;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16181c; --card: #1f2228; --line: #343841; --text: #e4e4e8; --faint: #a3a7b2;
    --failed: #ff8a80; --passed: #7ed79b; --open: #e8bf5a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .25rem 0; }
code, pre { font: .875em/1.5 ui-monospace, monospace; }
pre { white-space: pre-wrap; background: var(--page); border: 1px solid var(--line);
  border-radius: .3rem; padding: .5rem .6rem; margin: .25rem 0; }
.counts { display: flex; flex-wrap: wrap; gap: .6rem; list-style: none; padding: 0;
  margin: 1rem 0; }
.counts li { flex: 1 1 6rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .5rem .75rem; }
.counts b { display: block; font-size: 1.8rem; line-height: 1.2; }
.faint { color: var(--faint); }
.failed { color: var(--failed); } .passed { color: var(--passed); }
.open { color: var(--open); }
article { background: var(--card); border: 1px solid var(--line);
  border-left: .3rem solid var(--failed); border-radius: .5rem; padding: .75rem 1rem;
  margin: 0 0 1rem; }
article h3 { margin: 0; }
.message { font-weight: 600; margin: .5rem 0; }
.numbers { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .1rem 0 .1rem 1.25rem; white-space: nowrap; }
th { font-weight: 400; color: var(--faint); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
dl { display: grid; grid-template-columns: 5rem 1fr; gap: .3rem .75rem; margin: .5rem 0 0; }
dt { color: var(--faint); } dd { margin: 0; min-width: 0; }
.rows { list-style: none; margin: 0; padding: 0; }
.rows li { display: grid; grid-template-columns: 6rem 8.5rem 1fr; gap: 0 .75rem;
  padding: .4rem 0; border-top: 1px solid var(--line); }
.rows div { min-width: 0; }
a { color: inherit; }
@media (max-width: 40rem) {
  .rows li { grid-template-columns: 1fr auto; }
  .rows div { grid-column: 1 / -1; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; }
}
"""


def as_html(found: Finding) -> str:
    """A self-contained page: a title, the failures, and a list of all requirements."""
    title = f"Conformance of {escape(found['port'])}"
    tiles = "".join(f'<li class="{_class(s)}"><b>{n}</b>{s}</li>' for s, n in counts(found).items())
    failures = "".join(_failure(row) for row in found["requirements"] if row["status"] == "failed")
    groups = groupby(found["requirements"], lambda row: row["group"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{escape(summary(found))}">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="faint">{len(found["requirements"])} of {found["of"]} requirements of TimeSformer were
tested on this port: {escape(attributes(found))}.</p>
{_diagnosis(found)}
<ul class="counts">{tiles}</ul>
{f"<h2>Failed</h2>{failures}" if failures else ""}
<h2>All requirements</h2>
{"".join(_group(group, list(rows)) for group, rows in groups)}
</main>
</body>
</html>
"""


def _diagnosis(found: Finding) -> str:
    """The known mistakes that give the port's answers, and what they leave unexplained."""
    if not opening(found):
        return ""
    cards = "".join(
        f"<article><h3>{escape(mistake['names'])}</h3>"
        + "".join(f'<p class="message">{escape(text)}</p>' for text in mistake["sentences"])
        + f"<p>{escape(mistake['explains'])}</p><p>read on: {escape(mistake['read'])}</p></article>"
        for mistake in mistakes(found)
    )
    lines = "".join(f"<p>{escape(line)}</p>" for line in rest(found))
    return f"<h2>{escape(opening(found))}</h2>{cards}{lines}"


def _group(group: str, rows: list[Finding]) -> str:
    return f'<h3>{escape(group)}</h3><ul class="rows">{"".join(map(_row, rows))}</ul>\n'


def _row(row: Finding) -> str:
    """A requirement's id, status and sentence, and a remark where there is one."""
    failed = row["status"] == "failed"
    name = f'<a href="#{row["id"]}">{row["id"]}</a>' if failed else row["id"]
    more = f'<p class="faint">{escape(remark(row))}</p>' if remark(row) else ""
    return (
        f'<li><span>{name}</span><span class="{_class(row["status"])}">{row["status"]}</span>'
        f"<div>{_sentence(row['requirement'])}{more}</div></li>"
    )


def _failure(row: Finding) -> str:
    """A failure: what happened, on which input, and the hint."""
    points = {
        "Error": escape(error_against_bound(row)),
        "Hint": _sentence(row["hint"]),
        "Test": f"<code>{escape(row['test'])}</code>{tests_failed(row)}",
    }
    if row["input"]:
        again = f"<pre>{escape(json.dumps(row['input']))}</pre>"
        points["Input"] = escape(in_words(row["input"])) + again
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in points.items() if text)
    return (
        f'<article id="{row["id"]}"><h3>{row["id"]}</h3><p>{_sentence(row["requirement"])}</p>'
        f'<p class="message">{escape(row["message"])}</p>{_numbers(row["worst"] or [])}'
        f"<dl>{items}</dl></article>\n"
    )


def _numbers(worst: list[tuple[str, float, float]]) -> str:
    if not worst:
        return ""
    rows = "".join(
        f"<tr><td>{escape(place)}</td><td>{e:.9g}</td><td>{a:.9g}</td></tr>"
        for place, e, a in worst
    )
    head = (
        '<tr><th scope="col">at</th><th scope="col">expected</th><th scope="col">actual</th></tr>'
    )
    return f'<div class="numbers"><table>{head}{rows}</table></div>'


def _class(status: str) -> str:
    return status if status in ("failed", "passed") else "open"


def _sentence(text: str) -> str:
    """A sentence of the specification, with its code marked up."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
