"""The frame and the style sheet of every `report.html`: light, dark and on paper; it needs no network."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

STYLE = """\
:root {
  --paper: #fbfaf7; --card: #ffffff; --ink: #22262e; --quiet: #6b7280; --line: #e6e3dc; --accent: #3f6f8c;
  --warn: #fff6e0; --warn-line: #e2a929;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181d; --card: #1d2127; --ink: #e7e8ea; --quiet: #9aa2ae; --line: #2e343d; --accent: #8fbdd8;
    --warn: #2e2716; --warn-line: #b98a25;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 56px; }
header { margin-bottom: 28px; }
.kicker { margin: 0; color: var(--accent); font-weight: 600; letter-spacing: .08em; text-transform: uppercase;
  font-size: 12px; }
h1 { margin: 2px 0 0; font-size: 32px; line-height: 1.2; letter-spacing: -.01em; overflow-wrap: anywhere; }
.lead { margin: 6px 0 0; color: var(--quiet); font-size: 17px; }
h2 { margin: 0 0 12px; font-size: 16px; font-weight: 650; }
section { margin: 28px 0; break-inside: avoid; }
figure { margin: 28px 0; }
figure img { display: block; width: 100%; height: auto; border: 1px solid var(--line); border-radius: 10px;
  background: #fff; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px 7px 0; text-align: left; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 500; font-size: 13px; }
.n { text-align: right; white-space: nowrap; padding-right: 0; padding-left: 16px; }
.areas { table-layout: fixed; }
.areas tr > :first-child { width: 24%; overflow-wrap: anywhere; }
.areas .n { width: 14%; }
.chip { display: inline-block; width: 12px; height: 12px; margin-right: 9px; border-radius: 3px;
  border: 1px solid rgb(128 128 128 / .45); vertical-align: -1px; }
.bar span { display: block; height: 10px; min-width: 2px; border-radius: 5px;
  box-shadow: inset 0 0 0 1px rgb(128 128 128 / .35); }
.bar .time { background: var(--accent); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 16px;
  align-items: start; }
.card { margin: 0; padding: 18px 20px; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 16px; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.warnings { padding: 16px 20px; background: var(--warn); border-left: 4px solid var(--warn-line);
  border-radius: 6px; }
.warnings ul { margin: 0; padding-left: 18px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
footer { margin-top: 36px; color: var(--quiet); font-size: 13px; }
@media print {
  body { background: #fff; font-size: 12px; }
  main { max-width: none; padding: 0; }
  .bar span, .chip { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<header>
<p class="kicker">{kicker}</p>
<h1>{heading}</h1>
<p class="lead">{lead}</p>
</header>
{body}
<footer>{footer}</footer>
</main>
</body>
</html>
"""


def page(
    sections: Iterable[str], *, title: str, kicker: str, heading: str, lead: str, footer: str, style: str = ""
) -> str:
    """A whole page of ``sections`` of HTML, empty ones left out; everything else is text, and escaped here.

    ``style`` comes after the common one.
    """
    texts = {"title": title, "kicker": kicker, "heading": heading, "lead": lead, "footer": footer}
    return _PAGE.format(
        style=STYLE + style,
        body="\n".join(section for section in sections if section),
        **{name: escape(text) for name, text in texts.items()},
    )
