"""Scores of two rasters of classes, or of two masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geounet.errors import RequestError
from geounet.grid.geobox import GeoBox, parse_crs
from geounet.grid.window import Window
from geounet.score.bootstrap import FEWEST_BLOCKS, BlockGrid, Scorer, Sums, grid_over, intervals
from geounet.score.classes import Matching, looks_like_mask, match_classes, match_mask
from geounet.score.counts import Counts, count
from geounet.score.matrix import FloatArray, accuracy, boundary_iou, class_scores, cldice, mean_of
from geounet.score.pictures import palette, side_by_side
from geounet.score.rasters import LabelFile, RasterRows, aligned
from geounet.score.scores import ClassScores, Place, Score, Scores, scores_with_limits, sorted_worst
from geounet.score.settings import Settings

_WORST = 6


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """Two rasters, counted."""

    matching: Matching
    counts: Counts
    grid: BlockGrid
    mask: bool

    @property
    def used(self) -> NDArray[np.bool_]:
        """``(n,)`` blocks with pixels that count."""
        return np.asarray(self.counts.confusion.any((1, 2)))


def score_labels(prediction: str | Path, truth: str | Path, settings: Settings) -> Scores:
    """Scores of two rasters of classes or masks, in memory that grows with their width alone.

    Raises SceneError for a file that is no raster of classes, RequestError for two that do not fit together.
    """
    with LabelFile(truth) as true, LabelFile(prediction) as predicted:
        rows, mask = _match(true, predicted, settings)
        compared = _count(rows, settings, mask=mask)
        colours = palette(rows.matching, true.colours(), predicted.colours())
        worst = _worst(rows, compared, colours)
    summary, classes = score_counts(compared.counts, compared.matching, mask=mask, settings=settings)
    used, side = int(compared.used.sum()), compared.grid.side
    few = [f"only {used} blocks of {side} px have data: no confidence intervals"] if used < FEWEST_BLOCKS else []
    return Scores(
        kind="mask" if mask else "labels",
        prediction=str(prediction),
        truth=str(truth),
        summary=summary,
        classes=classes,
        matrix=compared.counts.confusion.sum(0),
        matrix_names=compared.matching.names,
        amounts={"pixels": int(compared.counts.confusion.sum()), "blocks": used},
        worst=worst,
        settings={
            "boundary_px": settings.boundary,
            "block_px": side,
            "draws": settings.draws,
            "seed": settings.seed,
            "resample": settings.resample,
        },
        warnings=(*compared.matching.warnings, *(few if settings.draws else [])),
    )


def _match(true: LabelFile, predicted: LabelFile, settings: Settings) -> tuple[RasterRows, bool]:
    """Both on one grid with one list of classes, and whether they are masks."""
    nearest = aligned(true.geobox, predicted.geobox, resample=settings.resample)
    legends = true.legend(), predicted.legend()
    mask = settings.kind == "mask" or (
        settings.kind == "auto" and not settings.classes and looks_like_mask(*legends)
    )
    matching = (match_mask if mask else match_classes)(*legends, settings.classes)
    return RasterRows(truth=true, predicted=predicted, matching=matching, nearest=nearest), mask


def _count(rows: RasterRows, settings: Settings, *, mask: bool) -> _Compared:
    classes = len(rows.matching.names)
    grid = grid_over(height=rows.shape[0], width=rows.shape[1], values=classes * (classes + 3) + 4)
    counts = count(
        rows,
        classes=classes,
        grid=grid,
        boundary=settings.boundary,
        skeletons=mask,
        step=settings.rows or rows.truth.step,
    )
    if not counts.confusion.any():
        raise RequestError("prediction and truth have no pixel with data in common; check nodata and place")
    return _Compared(matching=rows.matching, counts=counts, grid=grid, mask=mask)


def score_counts(
    counts: Counts, matching: Matching, *, mask: bool, settings: Settings
) -> tuple[dict[str, Score], tuple[ClassScores, ...]]:
    """Scores of the whole and of every class, with intervals over blocks, from counts by block."""
    scored = np.array(matching.scored)
    blocks: Sums = (counts.confusion, counts.boundary, counts.skeleton)
    used = counts.confusion.any((1, 2))

    def whole(sums: Sums) -> Mapping[str, FloatArray]:
        found = _by_class(sums)
        if mask:
            return {**{name: values[..., 1] for name, values in found.items()}, "cldice": cldice(sums[2])}
        return {
            "accuracy": accuracy(sums[0]),
            **{f"mean_{name}": mean_of(values[..., scored]) for name, values in found.items()},
        }

    def with_limits(score: Scorer) -> tuple[Mapping[str, FloatArray], Mapping[str, tuple[FloatArray, FloatArray]]]:
        limits = intervals(tuple(b[used] for b in blocks), score, draws=settings.draws, seed=settings.seed)
        return score(tuple(b.sum(0) for b in blocks)), limits

    by_class = with_limits(_by_class)
    support = counts.confusion.sum((0, 2))
    classes = tuple(
        ClassScores(
            name=name,
            support=int(support[i]),
            scores=scores_with_limits(*by_class, i),
            scored=matching.scored[i],
        )
        for i, name in enumerate(matching.names)
    )
    return scores_with_limits(*with_limits(whole)), classes


def _by_class(sums: Sums) -> dict[str, FloatArray]:
    return {**class_scores(sums[0]), "boundary_iou": boundary_iou(sums[1])}


def _worst(rows: RasterRows, compared: _Compared, colours: NDArray[np.uint8]) -> tuple[Place, ...]:
    """The blocks with the most wrong pixels, with pictures."""
    confusion = compared.counts.confusion
    wrong = confusion.sum((1, 2)) - np.trace(confusion, axis1=1, axis2=2)
    return tuple(
        _place(rows, confusion[block], compared.grid.window(block), colours)
        for block in sorted_worst(wrong, most=_WORST)
    )


def _place(rows: RasterRows, confusion: NDArray[np.int64], window: Window, colours: NDArray[np.uint8]) -> Place:
    off = confusion - np.diag(np.diag(confusion))
    was, called = np.unravel_index(int(off.argmax()), off.shape)
    names = rows.matching.names
    x, y = centre(rows.truth.geobox, window)
    return Place(
        name=f"rows {window.row_off} to {window.bottom - 1}, columns {window.col_off} to {window.right - 1}",
        x=x,
        y=y,
        errors=int(off.sum()),
        share=float(off.sum() / confusion.sum()),
        note=f"{names[was]} taken for {names[called]}: {int(off.max()):,} px",
        picture=side_by_side(rows.window(window), colours),
    )


def centre(geobox: GeoBox, window: Window) -> tuple[float, float]:
    """Longitude and latitude of the middle of ``window``; the raster's own coordinates without a CRS."""
    x, y = geobox.affine @ (window.col_off + window.width / 2, window.row_off + window.height / 2)
    if geobox.crs is None:
        return float(x), float(y)
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(parse_crs(geobox.crs), "OGC:CRS84", always_xy=True).transform(x, y)
    return float(lon), float(lat)
