"""The report of an evaluation as one HTML file that needs no network."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape

from geounet.io.report_style import page
from geounet.score.scores import ClassScores, Place, Score, Scores
from geounet.score.tell import amount, fact, label, number, percent

_CELL = 64
_DIAGRAM = 320  # pixels of a reliability diagram's side
_LARGEST = 24  # classes beyond which a matrix is not drawn
_TITLE = 300  # pixels of what stands above it

_MORE = """\
.matrix text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.matrix .dark { fill: #fff; }
.scroll { overflow-x: auto; }
.matrix .field { fill: none; stroke: var(--line); }
.matrix .ideal { stroke: var(--ink); stroke-dasharray: 4 4; }
h2.part { font-size: 24px; margin: 44px 0 0; }
.range { color: var(--quiet); font-size: 12px; }
.places { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 16px; }
.places img { width: 100%; image-rendering: pixelated; }
"""


def render(scores: Scores) -> str:
    """The report as HTML; every name in it is escaped."""
    heading = _name(scores.prediction), f"against {_name(scores.truth)}"
    return _page(*heading, [_sections(scores)], footer=_settings(scores))


def render_parts(title: str, lead: str, parts: Mapping[str, Scores], warnings: Sequence[str] = ()) -> str:
    """One report of several scores, each under its name."""
    named = [f"<h2 class='part'>{escape(name)}</h2>{_sections(scores)}" for name, scores in parts.items()]
    return _page(title, lead, [_worth_knowing(warnings), *named], footer=_settings(next(iter(parts.values()))))


def _page(title: str, lead: str, sections: Sequence[str], *, footer: str) -> str:
    return page(
        sections,
        title=f"{title} {lead}",
        kicker="geounet evaluate",
        heading=title,
        lead=lead,
        footer=footer,
        style=_MORE,
    )


def _sections(scores: Scores) -> str:
    sections = (
        _worth_knowing(scores.warnings),
        _summary(scores),
        _classes(scores),
        _scenes(scores),
        _matrix(scores),
        _calibration(scores),
        _worst(scores),
    )
    return "\n".join(s for s in sections if s)


def _settings(scores: Scores) -> str:
    return " · ".join(f"{label(k)} {v}" for k, v in scores.settings.items())


def _name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _worth_knowing(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(w)}</li>" for w in warnings)
    return f'<section class="warnings"><h2>Worth knowing</h2><ul>{items}</ul></section>' if items else ""


def _summary(scores: Scores) -> str:
    rows = "".join(
        f"<tr><td>{escape(label(name))}</td><td class='bar'>{_bar(score)}</td><td class='n'>{number(score.value)}"
        f"</td><td class='n range'>{_range(score)}</td></tr>"
        for name, score in scores.summary.items()
    )
    facts = " · ".join(fact(name, value) for name, value in scores.amounts.items())
    return (
        f"<section><h2>Scores ({escape(scores.kind)})</h2><table class='areas'><tbody>{rows}</tbody></table>"
        f"<p class='lead'>{escape(facts)}</p></section>"
    )


def _bar(score: Score) -> str:
    width = 0.0 if math.isnan(score.value) else 100 * min(1.0, max(0.0, score.value))
    return f"<span class='time' style='width:{width:.2f}%'></span>"


def _range(score: Score) -> str:
    return "" if math.isnan(score.low) else f"{number(score.low)} to {number(score.high)}"


def _classes(scores: Scores) -> str:
    if not scores.classes:
        return ""
    names = list(scores.classes[0].scores)
    head = "".join(f"<th class='n'>{escape(label(n))}</th>" for n in names)
    rows = "".join(_class_row(c, names, scores.unit) for c in scores.classes)
    return (
        "<section><h2>Classes</h2><div class='scroll'><table><thead><tr><th>class</th>"
        f"<th class='n'>in the truth</th>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _class_row(row: ClassScores, names: list[str], unit: str) -> str:
    cells = "".join(
        f"<td class='n'>{number(row.scores[n].value)}<br><span class='range'>{_range(row.scores[n])}</span></td>"
        for n in names
    )
    name = escape(row.name) if row.scored else f"<i>{escape(row.name)}</i>"
    return f"<tr><td>{name}</td><td class='n'>{amount(row.support)} {unit}</td>{cells}</tr>"


def _matrix(scores: Scores) -> str:
    """The confusion matrix as SVG: truth down, prediction across, shares of each true class."""
    if scores.matrix is None or not 1 < len(scores.matrix) <= _LARGEST:
        return ""
    names = scores.matrix_names
    left = 16 + max(min(len(n), 18) for n in names) * 7
    cells = [
        f"<text x='{left + (col + 0.5) * _CELL}' y='34' text-anchor='middle'>{escape(_short(name, 11))}</text>"
        for col, name in enumerate(names)
    ]
    for row, counts in enumerate(scores.matrix.tolist()):
        y = 44 + row * _CELL
        text = escape(_short(names[row]))
        cells.append(f"<text x='{left - 8}' y='{y + _CELL / 2 + 4}' text-anchor='end'>{text}</text>")
        for col, value in enumerate(counts):
            title = f"{names[row]} → {names[col]}: {amount(value)} {scores.unit}"
            cells.append(_cell(left + col * _CELL, y, share=value / sum(counts) if value else 0.0, title=title))
    size = len(names) * _CELL
    return (
        "<section><h2>Confusion</h2><div class='scroll'>"
        "<svg class='matrix' role='img' aria-label='confusion matrix' "
        f"width='{left + max(size, _TITLE) + 4}' height='{size + 50}'>"
        f"<text x='{left}' y='12'>prediction →, truth ↓; percent of what the truth has</text>{''.join(cells)}"
        "</svg></div></section>"
    )


def _cell(x: float, y: float, *, share: float, title: str) -> str:
    dark = " class='dark'" if share > 0.55 else ""
    place = f"x='{x + _CELL / 2 - 1}' y='{y + _CELL / 2 + 4}'"
    return (
        f"<g><title>{escape(title)}</title>"
        f"<rect x='{x}' y='{y}' width='{_CELL - 2}' height='{_CELL - 2}' rx='4' fill='#3f6f8c' "
        f"fill-opacity='{0.06 + 0.94 * share:.3f}'/>"
        f"<text {place} text-anchor='middle'{dark}>{percent(share)}</text></g>"
    )


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _scenes(scores: Scores) -> str:
    """Every scene by itself."""
    if not scores.scenes:
        return ""
    names = list(scores.scenes[0].scores)
    head = "".join(f"<th class='n'>{escape(label(n))}</th>" for n in names)
    rows = "".join(
        f"<tr><td>{escape(s.name)}</td><td class='n'>{amount(s.pixels)} px</td>"
        + "".join(f"<td class='n'>{number(s.scores[n].value)}</td>" for n in names)
        + "</tr>"
        for s in scores.scenes
    )
    return (
        "<section><h2>Scenes</h2><div class='scroll'><table><thead><tr><th>scene</th><th class='n'>compared</th>"
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _calibration(scores: Scores) -> str:
    """The reliability diagram as SVG: a bar per bin, the diagonal where confidence and accuracy agree."""
    found = scores.calibration
    if found is None:
        return ""
    count, most = len(found.pixels), max(*found.pixels, 1)
    step = _DIAGRAM / count
    shapes = [f"<rect class='field' x='40' y='8' width='{_DIAGRAM}' height='{_DIAGRAM}'/>"]
    for n, (pixels, sure, right) in enumerate(zip(found.pixels, found.confidence, found.accuracy, strict=True)):
        if not pixels:
            continue
        x, high = 40 + n * step, right * _DIAGRAM
        title = f"{amount(pixels)} px, confidence {number(sure)}, right {number(right)}"
        shapes.append(
            f"<g><title>{escape(title)}</title><rect x='{x + 1:.1f}' y='{8 + _DIAGRAM - high:.1f}' "
            f"width='{step - 2:.1f}' height='{high:.1f}' fill='#3f6f8c' "
            f"fill-opacity='{0.25 + 0.75 * (pixels / most) ** 0.5:.3f}'/></g>"
        )
    shapes.append(f"<line class='ideal' x1='40' y1='{8 + _DIAGRAM}' x2='{40 + _DIAGRAM}' y2='8'/>")
    for share in (0.0, 0.5, 1.0):
        at = share * _DIAGRAM
        shapes.append(f"<text x='34' y='{12 + _DIAGRAM - at}' text-anchor='end'>{share:g}</text>")
        shapes.append(f"<text x='{40 + at}' y='{26 + _DIAGRAM}' text-anchor='middle'>{share:g}</text>")
    return (
        "<section><h2>Calibration</h2><p>Of the pixels that the map is so sure of (across), how many are right? "
        "On the line it knows exactly how good it is; below it is too sure. The darker a bar, the more pixels.</p>"
        f"<svg class='matrix' role='img' aria-label='reliability diagram' width='{_DIAGRAM + 60}' "
        f"height='{_DIAGRAM + 36}'>{''.join(shapes)}</svg></section>"
    )


def _worst(scores: Scores) -> str:
    if not scores.worst:
        return ""
    shown = scores.worst[0].pictured
    legend = f" Pictures: {', '.join(shown)}." if shown else ""
    cards = "".join(_place(p, scores.unit) for p in scores.worst)
    return f"<section><h2>The worst blocks</h2><p>{legend}</p><div class='places'>{cards}</div></section>"


def _place(place: Place, unit: str) -> str:
    data = base64.b64encode(place.picture).decode("ascii")
    alt = escape(", ".join(place.pictured))
    image = f'<img alt="{alt}" src="data:image/png;base64,{data}">' if data else ""
    return (
        f"<section class='card'>{image}<p><b>{escape(place.name)}</b><br>{percent(place.share)} wrong "
        f"({amount(place.errors)} {unit}) around {place.x:.7g}, {place.y:.7g}<br>{escape(place.note)}</p></section>"
    )
