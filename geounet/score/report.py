"""The report of an evaluation as one HTML file that needs no network."""

from __future__ import annotations

import base64
import math
from html import escape

from geounet.io.report_style import page
from geounet.score.scores import ClassScores, Place, Score, Scores
from geounet.score.tell import amount, label, number, percent

_CELL = 64
_LARGEST = 24  # classes beyond which a matrix is not drawn

_MORE = """\
.matrix text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.matrix .dark { fill: #fff; }
.scroll { overflow-x: auto; }
.range { color: var(--quiet); font-size: 12px; }
.places { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 16px; }
.places img { width: 100%; image-rendering: pixelated; }
"""


def render(scores: Scores) -> str:
    """The report as HTML; every name in it is escaped."""
    sections = (_warnings(scores), _summary(scores), _classes(scores), _matrix(scores), _worst(scores))
    prediction, truth = _name(scores.prediction), _name(scores.truth)
    return page(
        sections,
        title=f"{prediction} against {truth}",
        kicker="geounet evaluate",
        heading=prediction,
        lead=f"against {truth}",
        footer=" · ".join(f"{label(k)} {v}" for k, v in scores.settings.items()),
        style=_MORE,
    )


def _name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _warnings(scores: Scores) -> str:
    items = "".join(f"<li>{escape(w)}</li>" for w in scores.warnings)
    return f'<section class="warnings"><h2>Worth knowing</h2><ul>{items}</ul></section>' if items else ""


def _summary(scores: Scores) -> str:
    rows = "".join(
        f"<tr><td>{escape(label(name))}</td><td class='bar'>{_bar(score)}</td><td class='n'>{number(score.value)}"
        f"</td><td class='n range'>{_range(score)}</td></tr>"
        for name, score in scores.summary.items()
    )
    facts = " · ".join(f"{amount(value)} {label(name)}" for name, value in scores.amounts.items())
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
        f"width='{left + size + 4}' height='{size + 50}'>"
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


def _worst(scores: Scores) -> str:
    if not scores.worst:
        return ""
    legend = " Pictures: truth, prediction, errors in red." if scores.worst[0].picture else ""
    cards = "".join(_place(p, scores.unit) for p in scores.worst)
    return f"<section><h2>The worst blocks</h2><p>{legend}</p><div class='places'>{cards}</div></section>"


def _place(place: Place, unit: str) -> str:
    data = base64.b64encode(place.picture).decode("ascii")
    image = f'<img alt="truth, prediction, errors" src="data:image/png;base64,{data}">' if data else ""
    return (
        f"<section class='card'>{image}<p><b>{escape(place.name)}</b><br>{percent(place.share)} wrong "
        f"({amount(place.errors)} {unit}) around {place.x:.7g}, {place.y:.7g}<br>{escape(place.note)}</p></section>"
    )
