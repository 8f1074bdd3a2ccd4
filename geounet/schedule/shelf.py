"""What stands in the destination for everybody: a static STAC catalogue and an index page over all results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geounet import __version__
from geounet.io import human
from geounet.io.atomic import publish_text
from geounet.io.report_style import page
from geounet.schedule.ledger import Entry

CATALOG, INDEX = "catalog.json", "index.html"
_STYLE = """
td img { display: block; width: 260px; max-height: 110px; object-fit: cover; border-radius: 6px; }
td.failed { color: #c2410c; font-weight: 600; }
td.when { white-space: nowrap; }
td small { color: var(--quiet); overflow-wrap: anywhere; }
"""


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
    """A page without scripts: every scene with its picture, its state and its report, the newest first."""
    newest = sorted(entries, key=lambda entry: entry.finished or entry.found, reverse=True)
    rows = "\n".join(_row(entry, root) for entry in newest if entry.state != "gone")
    shown = ("done", "running", "waiting", "failed")
    counts = [f"{n} {state}" for state in shown if (n := _count(entries, state))]
    head = '<th></th><th>scene</th><th>state</th><th>finished (UTC)</th><th class="n">took</th>'
    return page(
        [f"<section><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></section>"],
        title="geounet runs",
        kicker="geounet",
        heading="Runs",
        lead=", ".join(counts) or "nothing yet",
        footer=f"geounet {__version__}",
        style=_STYLE,
    )


def _row(entry: Entry, root: Path) -> str:
    picture, name = "", escape(entry.name)
    if entry.state == "done" and entry.output:
        folder = escape(quote(_relative(entry, root)))
        picture = f'<a href="{folder}/report.html"><img loading="lazy" alt="" src="{folder}/preview.png"></a>'
        name = f'<a href="{folder}/report.html">{name}</a>'
    why = f"<br><small>{escape(entry.error)}</small>" if entry.error else ""
    took = entry.facts.get("seconds")
    ended = datetime.fromtimestamp(entry.finished, UTC).strftime("%Y-%m-%d %H:%M") if entry.finished else ""
    return (
        f'<tr><td>{picture}</td><td>{name}{why}</td><td class="{entry.state}">{entry.state}</td>'
        f'<td class="when">{ended}</td>'
        f'<td class="n">{human.duration(float(took)) if took is not None else ""}</td></tr>'
    )


def _relative(entry: Entry, root: Path) -> str:
    return Path(entry.output or "").relative_to(root).as_posix()


def _count(entries: Sequence[Entry], state: str) -> int:
    return sum(entry.state == state for entry in entries)
