"""Do the borders of the tiles show in a map? How often labels change across them, against everywhere else.

Ground does not know where tiles end. So over many lines the share of neighbouring pixels with different labels is
the same across a tile's border as across any other line: a ratio of 1. A map that was stitched without overlap, or
whose network sees too little at the rim of a tile, has more changes there.

Three kinds of lines are looked at: where a tile starts, where one ends, and the middle of an overlap, where maps
that are cut instead of blended have their seams.

A network that works on a coarse grid and enlarges it draws borders on the lines of that grid more often than
between them (of the default model's map of a photograph, the lines with the most changes are multiples of 32 or
64), and tiles begin on that grid. So a line is compared with lines alone that have its rest modulo `GRID`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError, RequestError
from geounet.grid.lattice import Lattice
from geounet.grid.window import Window
from geounet.score.bootstrap import grid_over, intervals
from geounet.score.counts import Labels
from geounet.score.matrix import FloatArray
from geounet.score.rasters import LabelFile
from geounet.score.scores import Score
from geounet.score.seam_counts import GRID, KINDS, SeamCounts, count_changes, line_kinds

LIMIT = 1.05
"""Above this ratio a seam is worth a look."""
_WORST = 3


@dataclass(frozen=True, kw_only=True)
class SeamLine:
    """One line along which tiles meet."""

    axis: str
    """``row`` or ``column``."""
    at: int
    """The line lies before this row or column, in scene pixels."""
    ratio: float
    """As `Seams.ratio`, of this line alone."""


@dataclass(frozen=True, kw_only=True)
class Seams:
    """How a map's tile borders compare with its inside."""

    raster: str
    tile: int
    overlap: int
    ratio: Score
    """Label changes across all lines of the lattice ÷ those that are expected of such lines inside; NaN where the
    map is one tile."""
    kinds: Mapping[str, Score]
    """The same by kind of line."""
    changes: float
    """Share of neighbouring pixels inside whose labels differ."""
    lines: int
    worst: tuple[SeamLine, ...]
    """Lines with the highest ratio."""
    limit: float

    @property
    def exceeded(self) -> bool:
        """Whether seams show: the ratio is above the limit and its interval, where there is one, is above 1."""
        return self.ratio.value > self.limit and not self.ratio.low <= 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "raster": self.raster,
            "tile": self.tile,
            "overlap": self.overlap,
            "ratio": _score(self.ratio),
            "kinds": {name: _score(score) for name, score in self.kinds.items()},
            "changes": self.changes,
            "lines": self.lines,
            "worst": [{"axis": w.axis, "at": w.at, "ratio": _plain(w.ratio)} for w in self.worst],
            "limit": self.limit,
            "exceeded": self.exceeded,
        }


def check_seams(
    path: str | Path,
    *,
    tile: int | None = None,
    overlap: int | None = None,
    limit: float = LIMIT,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Seams]:
    """Measure the label rasters of a results folder, or one raster, by name. Reads each once, in strips.

    ``tile`` and ``overlap`` are found in the tags of geounet's own rasters; of others they must be given.
    Raises RequestError (SceneError, ConfigError) where that cannot be.
    """
    if not (math.isfinite(limit) and limit > 0):
        raise ConfigError(f"--limit {limit}: expected a number above 0")
    if not 0 <= draws <= 100_000 or seed < 0:
        raise ConfigError(f"--draws {draws}, --seed {seed}: expected 0 to 100000 draws and a seed of 0 or more")
    found = {}
    for file in _rasters(Path(path)):
        with LabelFile(file) as labels:
            lattice = _lattice(labels, file, tile=tile, overlap=overlap)
            counts = _counted(labels, lattice)
        found[file.stem] = measure(counts, lattice, raster=str(file), limit=limit, draws=draws, seed=seed)
    return found


def _rasters(path: Path) -> list[Path]:
    """The label rasters of a folder: those that name classes; a file is itself."""
    if not path.is_dir():
        return [path]
    found = [f for f in sorted(path.glob("*.tif")) if not f.stem.endswith(("_confidence", "_cleaned"))]
    if not found:
        raise RequestError(f"{path} has no label rasters (.tif); expected the results folder of a run, or a raster")
    return found


def _lattice(labels: LabelFile, path: Path, *, tile: int | None, overlap: int | None) -> Lattice:
    tags = labels.raster.dataset.tags()
    if "GEOUNET_GSD" in tags:
        raise RequestError(
            f"{path} was made with --gsd {tags['GEOUNET_GSD']}: its tiles lie on another grid, so that no line of "
            "this raster is a tile's border; check a run with --gsd native"
        )
    sides = [tile, overlap]
    for n, name in enumerate(("GEOUNET_TILE", "GEOUNET_OVERLAP")):
        if sides[n] is None and tags.get(name, "").isdigit():
            sides[n] = int(tags[name])
    if sides[0] is None or sides[1] is None:
        raise ConfigError(f"{path} does not say how it was tiled; give --tile and --overlap, in pixels")
    height, width = labels.geobox.shape
    return Lattice.over(height=height, width=width, tile=sides[0], overlap=sides[1])


@dataclass(frozen=True, kw_only=True)
class _FileRows:
    """Rows of an open file as class indices."""

    labels: LabelFile
    index: Mapping[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        return self.labels.geobox.shape

    def read(self, top: int, bottom: int) -> Labels:
        return self.labels.read(Window(top, 0, bottom - top, self.shape[1]), self.index)


def _counted(labels: LabelFile, lattice: Lattice) -> SeamCounts:
    index = {value: n for n, value in enumerate(labels.legend().values)}
    height, width = labels.geobox.shape
    grid = grid_over(height=height, width=width, values=2 * GRID * len(KINDS))
    return count_changes(_FileRows(labels=labels, index=index), lattice, grid=grid, step=labels.step)


def measure(counts: SeamCounts, lattice: Lattice, *, raster: str, limit: float, draws: int, seed: int) -> Seams:
    """The ratios, with intervals over blocks."""
    used = counts.blocks[..., 1].any((1, 2))
    blocks = (counts.blocks[used],)

    def ratios(sums: tuple[NDArray[Any], ...]) -> dict[str, FloatArray]:
        pairs = sums[0].astype(np.float64)
        inside = pairs[..., 0, :, :]
        kinds = {name: rate_ratio(pairs[..., n, :, :], inside) for n, name in enumerate(KINDS) if n}
        return {"all": rate_ratio(pairs[..., 1:, :, :].sum(-3), inside), **kinds}

    values = ratios((counts.blocks.sum(0),))
    limits = intervals(blocks, ratios, draws=draws, seed=seed) if used.any() else {}
    told = {name: _with_limits(float(value), limits.get(name)) for name, value in values.items()}
    inside = counts.blocks[:, 0].sum(0)
    kinds = line_kinds(lattice.rows), line_kinds(lattice.cols)
    return Seams(
        raster=raster,
        tile=lattice.tile,
        overlap=lattice.rows.overlap,
        ratio=told.pop("all"),
        kinds=told,
        changes=float(inside[:, 0].sum() / max(1, inside[:, 1].sum())),
        lines=int(sum((k > 0).sum() for k in kinds)),
        worst=_worst_lines(counts, kinds, inside.astype(np.float64)),
        limit=limit,
    )


def rate_ratio(border: FloatArray, inside: FloatArray) -> FloatArray:
    """Changes across borders over those that the inside lets expect, ``(…)``, from ``(…, GRID, 2)``.

    A rest that no line inside has is compared with all of them. NaN without pairs on either side, or without any
    change; infinite where changes are across borders alone.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        overall = inside[..., 0].sum(-1, keepdims=True) / inside[..., 1].sum(-1, keepdims=True)
        rates = np.where(inside[..., 1] > 0, inside[..., 0] / inside[..., 1], overall)
        found = border[..., 0].sum(-1) / (border[..., 1] * rates).sum(-1)
    return np.asarray(found, np.float64)


def _with_limits(value: float, limits: tuple[FloatArray, FloatArray] | None) -> Score:
    return Score(value=value) if limits is None else Score(value=value, low=float(limits[0]), high=float(limits[1]))


def _worst_lines(
    counts: SeamCounts, kinds: tuple[NDArray[np.intp], NDArray[np.intp]], inside: FloatArray
) -> tuple[SeamLine, ...]:
    lines = [
        SeamLine(axis=axis, at=int(at), ratio=_alone(pairs[at], inside[at % GRID], inside.sum(0)))
        for axis, pairs, kind in (("row", counts.rows, kinds[0]), ("column", counts.cols, kinds[1]))
        for at in np.flatnonzero(kind)
    ]
    known = [line for line in lines if not math.isnan(line.ratio)]
    return tuple(sorted(known, key=lambda line: -line.ratio)[:_WORST])


def _alone(pairs: NDArray[np.int64], inside: FloatArray, overall: FloatArray) -> float:
    """The ratio of one line, all ``(2,)``."""
    like = inside if inside[1] else overall
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((pairs[0] / pairs[1]) / (like[0] / like[1]))


def _score(score: Score) -> dict[str, float | None]:
    return {"value": _plain(score.value), "low": _plain(score.low), "high": _plain(score.high)}


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
