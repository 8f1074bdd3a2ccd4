"""Where the published scenes lie: their boxes as SVG, each a link to its report; offline, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import cos, radians

Place = tuple[str, str, Sequence[float]]
"""Name, address of the report, and (west, south, east, north) in degrees."""

_WIDTH, _HEIGHT = 1000.0, 420.0
_LEAST = 5.0  # units of the drawing: a small scene among far ones is still to be seen and to be hit
_MOST = 2000

STYLE = """
.where svg { display: block; width: 100%; height: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.where rect { fill: var(--accent); fill-opacity: .25; stroke: var(--accent); vector-effect: non-scaling-stroke; }
.where a:hover rect { fill-opacity: .6; }
.where p { margin: 8px 0 0; color: var(--quiet); font-size: 13px; }
"""


def render_places(places: Sequence[Place]) -> str:
    """A section of HTML with the boxes of the first so many places, north up; empty where there are none."""
    shown = places[:_MOST]
    if not shown:
        return ""
    boxes = [(w, s, e + 360 if e < w else e, n) for _, _, (w, s, e, n) in shown]  # across the date line
    west, south, east, north = (
        choose(box[side] for box in boxes) for side, choose in enumerate((min, min, max, max))
    )
    narrow = cos(radians((south + north) / 2))  # a degree of longitude there, in degrees of latitude
    scale = min(_WIDTH / max((east - west) * narrow, 1e-6), _HEIGHT / max(north - south, 1e-6)) * 0.94
    middle = (west + east) / 2, (south + north) / 2

    def rectangle(place: Place, box: Sequence[float]) -> str:
        wide, high = ((box[2] - box[0]) * narrow * scale, (box[3] - box[1]) * scale)
        x = _WIDTH / 2 + ((box[0] + box[2]) / 2 - middle[0]) * narrow * scale
        y = _HEIGHT / 2 - ((box[1] + box[3]) / 2 - middle[1]) * scale
        wide, high = max(wide, _LEAST), max(high, _LEAST)
        return (
            f'<a href="{escape(place[1])}"><rect x="{x - wide / 2:.1f}" y="{y - high / 2:.1f}" width="{wide:.1f}" '
            f'height="{high:.1f}"><title>{escape(place[0])}</title></rect></a>'
        )

    drawn = "".join(map(rectangle, shown, boxes))
    more = f"; the newest {_MOST:,} of {len(places):,}" if len(places) > _MOST else ""
    return (
        f'<section class="where"><svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="map">'
        f"{drawn}</svg><p>Where the scenes lie{more}. {_degrees(west, south)} to {_degrees(east, north)}</p>"
        "</section>"
    )


def _degrees(longitude: float, latitude: float) -> str:
    east = (longitude + 180) % 360 - 180
    return f"{abs(latitude):.4g}° {'NS'[latitude < 0]} {abs(east):.4g}° {'EW'[east < 0]}"
