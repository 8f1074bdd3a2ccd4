"""What stands in the destination for everybody: a static STAC catalogue and an index page over all results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geounet.io import human
from geounet.io.atomic import publish_text
from geounet.io.report_style import STYLE
from geounet.schedule.ledger import Entry

CATALOG, INDEX = "catalog.json", "index.html"


def write_shelf(root: Path, entries: Sequence[Entry]) -> None:
    """Write the catalogue and the index page of all entries; each appears whole."""
    done = [entry for entry in entries if entry.state == "done" and entry.output]
    publish_text(root / CATALOG, json.dumps(to_catalog(root, done), indent=1, ensure_ascii=False) + "\n")
    publish_text(root / INDEX, to_page(root, entries))


def to_catalog(root: Path, done: Sequence[Entry]) -> dict[str, Any]:
    """A STAC 1.1 catalogue with a relative link to the item of each published scene."""
    items = [
        {
            "rel": "item",
            "href": f"./{_relative(entry, root)}/item.json",  # plain, as pystac wants it: layout keeps it harmless
            "type": "application/geo+json",
            "title": entry.name,
        }
        for entry in sorted(done, key=lambda entry: (entry.time, entry.name, entry.key))
    ]
    return {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "geounet",
        "title": "Maps made by geounet",
        "description": "Land-use and road maps, one item per scene.",
        "links": [{"rel": "root", "href": "./catalog.json", "type": "application/json"}, *items],
    }


def to_page(root: Path, entries: Sequence[Entry]) -> str:
    """A page without scripts: every scene with its picture, its state and its report."""
    newest = sorted(entries, key=lambda entry: entry.finished or entry.found, reverse=True)
    shown = [entry for entry in newest if entry.state != "gone"]
    rows = "\n".join(_row(entry, root) for entry in shown)
    counts = ", ".join(
        f"{n} {state}" for state in ("done", "running", "waiting", "failed") if (n := _count(entries, state))
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>geounet runs</title><style>{STYLE}
td img {{ display: block; width: 260px; max-height: 110px; object-fit: cover; border-radius: 6px; }}
.failed {{ color: #c2410c; font-weight: 600; }}</style></head>
<body><main><header><p class="kicker">geounet</p><h1>Runs</h1><p class="lead">{escape(counts) or "nothing yet"}</p>
</header><section><table><thead><tr><th></th><th>scene</th><th>state</th><th>finished</th>
<th class="n">took</th></tr></thead><tbody>
{rows}
</tbody></table></section></main></body></html>
"""


def _row(entry: Entry, root: Path) -> str:
    picture, name = "", escape(entry.name)
    if entry.state == "done" and entry.output:
        folder = escape(quote(_relative(entry, root)))
        picture = f'<a href="{folder}/report.html"><img loading="lazy" alt="" src="{folder}/preview.png"></a>'
        name = f'<a href="{folder}/report.html">{name}</a>'
    why = f'<br><span class="lead">{escape(entry.error)}</span>' if entry.error else ""
    took = entry.facts.get("seconds")
    ended = datetime.fromtimestamp(entry.finished, UTC).strftime("%Y-%m-%d %H:%M UTC") if entry.finished else ""
    return (
        f'<tr><td>{picture}</td><td>{name}{why}</td><td class="{entry.state}">{entry.state}</td><td>{ended}</td>'
        f'<td class="n">{human.duration(float(took)) if took is not None else ""}</td></tr>'
    )


def _relative(entry: Entry, root: Path) -> str:
    return Path(entry.output or "").relative_to(root).as_posix()


def _count(entries: Sequence[Entry], state: str) -> int:
    return sum(entry.state == state for entry in entries)
