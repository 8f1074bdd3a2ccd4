"""What fills a cell between avenues: villas, flats, industry, park, lagoon, farm, garden suburb or bare ground."""

from __future__ import annotations

from geounet.sample.built import flats, industry, suburb, villas
from geounet.sample.cell import Cell
from geounet.sample.frame import Frame, cell_rng
from geounet.sample.open_land import bare, farm, lagoon, park
from geounet.sample.palette import Palette
from geounet.sample.sketch import Pieces, Sketch

FILLS = (villas, flats, industry, park, lagoon, farm, bare, suburb)
_SHARES = {
    "town": (0.42, 0.16, 0.04, 0.10, 0.11, 0.02, 0.03, 0.12),
    "edge": (0.16, 0.06, 0.24, 0.06, 0.03, 0.15, 0.28, 0.02),
}


def draw_cell(frame: Frame, palette: Palette, i: int, j: int) -> Pieces:
    """Everything inside cell (i, j), between the avenues around it."""
    rng = cell_rng(frame.seed, 1, i, j)
    u0, u1, v0, v1 = frame.line(0, i), frame.line(0, i + 1), frame.line(1, j), frame.line(1, j + 1)
    half = (frame.width(0, i), frame.width(0, i + 1), frame.width(1, j), frame.width(1, j + 1))
    cell = Cell(
        frame=frame, palette=palette, rng=rng, sketch=Sketch(sun=palette.sun), u0=u0, u1=u1, v0=v0, v1=v1,
        inset=(half[0] + 9, half[1] + 9, half[2] + 9, half[3] + 9), bend=float(rng.uniform(-34, 34)),
    )  # fmt: skip
    zone = "edge" if cell_rng(frame.seed, 2, i // 2, (j + 1) // 2).random() < 0.36 else "town"
    fill = int(rng.choice(len(FILLS), p=_SHARES[zone]))
    if (i, j) == (0, 0):
        fill = 4  # the scene's middle has water, whatever the seed
    elif (i, j) in ((-1, 0), (0, -1)):
        fill = 0 if i else 7
    FILLS[fill](cell)
    if palette.green:
        cell.grove(palette.wooded * rng.uniform(0.2, 1.0))
    return cell.sketch.finish()
