"""``report.html``: one file that says what was run, on what, and what came out. It needs no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from geounet.grid.geobox import parse_crs
from geounet.io import human
from geounet.io.atomic import publish_text
from geounet.io.facts import ClassArea, Output, RunFacts
from geounet.io.report_map import STYLE as MAP_STYLE
from geounet.io.report_style import page
from geounet.model.spec import Head

Row = tuple[str, str]


def write_report(path: str | Path, facts: RunFacts, *, preview: Path | None = None, drawing: str = "") -> Path:
    """Write the report of a run to ``path``, with ``preview`` and ``drawing`` inside; returns the path."""
    image = preview.read_bytes() if preview is not None else None
    return publish_text(path, render(facts, preview=image, drawing=drawing))


def render(facts: RunFacts, *, preview: bytes | None = None, drawing: str = "") -> str:
    """The report as HTML; ``preview`` is the content of a PNG file, ``drawing`` a section (`report_map`)."""
    title = f"{facts.scene} · {facts.model.name}"
    sections = [
        _warnings(facts.warnings),
        drawing,
        _picture(preview, facts),
        *(_areas(head, facts) for head in facts.model.heads),
        _grid([_card("Scene", _scene(facts)), _card("Model", _model(facts)), _card("Run", _run(facts))]),
        _outputs(facts.outputs),
        _timings(facts),
    ]
    return page(
        sections,
        title=title,
        kicker="geounet",
        heading=facts.scene,
        lead=f"mapped with {facts.model.name} {facts.model.version}",
        footer=" · ".join(f"{name} {version}" for name, version in sorted(facts.software.items())),
        style=MAP_STYLE if drawing else "",
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(w)}</li>" for w in warnings)
    return f'<section class="warnings"><h2>Worth knowing</h2><ul>{items}</ul></section>'


def _picture(preview: bytes | None, facts: RunFacts) -> str:
    if preview is None:
        return ""
    data = base64.b64encode(preview).decode("ascii")
    alternative = f"{facts.scene}: scene, maps, and maps over the scene"
    return f'<figure><img alt="{escape(alternative)}" src="data:image/png;base64,{data}"></figure>'


def _areas(head: Head, facts: RunFacts) -> str:
    """The table of one head: a bar, the share and the area of every class."""
    areas = {a.value: a for a in facts.areas if a.head == head.name}
    total = sum(a.pixels for a in areas.values())
    if not total:
        return ""
    metric = any(a.square_metres is not None for a in areas.values())
    rows = "".join(
        _area_row(label.name, label.color, areas[label.value], total)
        for label in head.classes
        if label.value in areas and label.value in head.vector_values
    )
    return (
        f"<section><h2>{escape(head.name)}</h2><table class='areas'><thead><tr><th>class</th><th></th>"
        f"<th class='n'>share</th><th class='n'>{'area' if metric else 'pixels'}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{_length(head, facts)}</section>"
    )


def _length(head: Head, facts: RunFacts) -> str:
    """How long the centre-lines of a head are."""
    metres = facts.lengths.get(f"{head.name}_lines")
    if metres is None:
        return ""
    known = facts.geobox.crs is not None
    length = (
        f"{metres:,.0f} px" if not known else f"{metres / 1000:,.2f} km" if metres >= 1000 else f"{metres:,.0f} m"
    )
    return f"<p>Centre-lines: {length}</p>"


def _area_row(name: str, color: str, area: ClassArea, total: int) -> str:
    share = 100 * area.pixels / total
    size = f"{area.pixels:,} px" if area.square_metres is None else human.area(area.square_metres)
    return (
        f"<tr><td><span class='chip' style='background:{escape(color)}'></span>{escape(name)}</td>"
        f"<td class='bar'><span style='width:{share:.2f}%;background:{escape(color)}'></span></td>"
        f"<td class='n'>{share:.1f} %</td><td class='n'>{size}</td></tr>"
    )


def _scene(facts: RunFacts) -> list[Row]:
    box = facts.geobox
    crs = parse_crs(box.crs) if box.crs is not None else None
    authority = crs.to_authority() if crs is not None else None
    name = "none: coordinates are pixels" if crs is None else crs.name
    gsd = box.gsd()
    return [
        ("size", f"{box.width:,} × {box.height:,} px"),
        ("coordinate system", f"{name} ({':'.join(authority)})" if authority else name),
        ("pixel", f"{gsd:.4g} m" if gsd is not None else "unknown"),
        ("bands", ", ".join(facts.bands)),
        ("data type", facts.dtype),
        ("nodata", "none declared" if facts.nodata is None else f"{facts.nodata:g}"),
        ("fingerprint", _short(facts.fingerprint)),
    ]


def _model(facts: RunFacts) -> list[Row]:
    model = facts.model
    rows = [
        ("name", f"{model.name} {model.version}"),
        ("about", model.description),
        ("architecture", model.architecture),
        ("heads", ", ".join(h.name for h in model.heads)),
        ("inputs", ", ".join(b.name for b in model.bands)),
        ("made for", f"{model.gsd:g} m pixels" if model.gsd is not None else ""),
        ("license", model.license),
        ("digest", _short(facts.model_digest)),
    ]
    return [row for row in rows if row[1]]


def _run(facts: RunFacts) -> list[Row]:
    date = "unknown" if facts.datetime is None else facts.datetime.replace("T", " ").replace("Z", " UTC")
    return [("date of scene or file", date), *sorted(facts.settings.items())]


def _short(digest: str) -> str:
    return digest if len(digest) <= 20 else f"{digest[:16]}…"


def _grid(cards: Iterable[str]) -> str:
    return f"<div class='cards'>{''.join(cards)}</div>"


def _card(title: str, rows: Sequence[Row]) -> str:
    inner = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows)
    return f"<section class='card'><h2>{escape(title)}</h2><dl>{inner}</dl></section>"


def _outputs(outputs: Sequence[Output]) -> str:
    if not outputs:
        return ""
    rows = "".join(
        f"<tr><td><a href='./{quote(o.path.name)}'>{escape(o.path.name)}</a></td>"
        f"<td>{escape(o.role if o.head is None else f'{o.head} {o.role}')}</td>"
        f"<td class='n'>{human.size(o.bytes)}</td></tr>"
        for o in outputs
    )
    return f"<section><h2>Files</h2><table><tbody>{rows}</tbody></table></section>"


def _timings(facts: RunFacts) -> str:
    if not facts.timings:
        return ""
    longest = max(facts.timings.values()) or 1.0
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class='bar'><span class='time'"
        f" style='width:{100 * seconds / longest:.2f}%'></span></td><td class='n'>{seconds:,.2f} s</td></tr>"
        for name, seconds in facts.timings.items()
    )
    return f"<section><h2>Where the time went</h2><table class='areas'><tbody>{rows}</tbody></table></section>"
