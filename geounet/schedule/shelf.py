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
from geounet.io.stac import CATALOG_FILE, COLLECTION_FILE, COLLECTION_ID
from geounet.schedule.entry import Entry
from geounet.schedule.shelf_map import STYLE as MAP_STYLE
from geounet.schedule.shelf_map import render_places

INDEX = "index.html"
_TITLE, _DESCRIPTION = "Maps made by geounet", "Land-use and road maps, one item per scene."
_STYLE = """
td img { display: block; width: 260px; max-height: 110px; object-fit: cover; border-radius: 6px; }
td.failed { color: #c2410c; font-weight: 600; }
td.when { white-space: nowrap; }
td small { color: var(--quiet); overflow-wrap: anywhere; }
"""


def write_shelf(root: Path, entries: Sequence[Entry]) -> None:
    """Write the catalogue, its collection and the index page of all entries; each appears whole."""
    entries = [entry for entry in entries if entry.output is None or Path(entry.output).is_relative_to(root)]
    done = [entry for entry in entries if entry.state == "done" and entry.output]
    publish_text(root / COLLECTION_FILE, _json(to_collection(root, done)))
    publish_text(root / CATALOG_FILE, _json(to_catalog()))
    publish_text(root / INDEX, to_page(root, entries))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def to_catalog() -> dict[str, Any]:
    """A STAC 1.1 catalogue of one collection."""
    return {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "maps",
        "title": _TITLE,
        "description": _DESCRIPTION,
        "links": [_link("root", CATALOG_FILE), _link("child", COLLECTION_FILE)],
    }


def to_collection(root: Path, done: Sequence[Entry]) -> dict[str, Any]:
    """A STAC 1.1 collection with a relative link to the item of each published scene."""
    items = [
        {
            "rel": "item",
            "href": f"./{_relative(entry, root)}/item.json",  # plain, as pystac wants it: layout keeps it harmless
            "type": "application/geo+json",
            "title": entry.name,
        }
        for entry in sorted(done, key=lambda entry: (entry.time, entry.name, entry.key))
    ]
    times = sorted(datetime.fromisoformat(entry.time).astimezone(UTC) for entry in done)
    span = [time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in (*times[:1], *times[-1:])]
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": COLLECTION_ID,
        "title": _TITLE,
        "description": _DESCRIPTION,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [_around([box for entry in done if (box := entry.facts.get("bbox"))])]},
            "temporal": {"interval": [span or [None, None]]},
        },
        "links": [_link("root", CATALOG_FILE), _link("parent", CATALOG_FILE), *items],
    }


def _link(rel: str, name: str) -> dict[str, str]:
    return {"rel": rel, "href": f"./{name}", "type": "application/json"}


def _around(boxes: Sequence[Sequence[float]]) -> list[float]:
    """The box around all (west, south, east, north); the whole world where nobody knows any."""
    if not boxes:
        return [-180.0, -90.0, 180.0, 90.0]
    west, south, east, north = zip(*boxes, strict=True)
    over_the_line = any(box[0] > box[2] for box in boxes)
    return [
        -180.0 if over_the_line else min(west),
        min(south),
        180.0 if over_the_line else max(east),
        max(north),
    ]


def to_page(root: Path, entries: Sequence[Entry]) -> str:
    """A page without scripts: every scene with its picture, its state and its report, the newest first."""
    newest = sorted(entries, key=lambda entry: entry.finished or entry.found, reverse=True)
    rows = "\n".join(_row(entry, root) for entry in newest if entry.state != "gone")
    shown = ("done", "running", "waiting", "failed")
    counts = [f"{n} {state}" for state in shown if (n := _count(entries, state))]
    head = '<th></th><th>scene</th><th>state</th><th>finished (UTC)</th><th class="n">took</th>'
    places = [
        (entry.name, f"{quote(_relative(entry, root))}/report.html", entry.facts["bbox"])
        for entry in newest
        if entry.state == "done" and entry.output and entry.facts.get("bbox")
    ]
    return page(
        [
            render_places(places),
            f"<section><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></section>",
        ],
        title="geounet runs",
        kicker="geounet",
        heading="Runs",
        lead=", ".join(counts) or "nothing yet",
        footer=f"geounet {__version__}",
        style=_STYLE + MAP_STYLE,
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
