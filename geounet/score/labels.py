"""Scores of rasters of classes, or of masks: of one pair, or of several scenes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geounet.errors import RequestError
from geounet.grid.geobox import GeoBox, parse_crs
from geounet.grid.window import Window
from geounet.score.bootstrap import FEWEST_BLOCKS, BlockGrid, Scorer, Sums, grid_over, intervals
from geounet.score.calibration import BINS, count_calibration, diagram, expected_error
from geounet.score.classes import Legend, Matching, looks_like_mask, match_classes, match_mask
from geounet.score.counts import Counts, count
from geounet.score.matrix import FloatArray, accuracy, boundary_iou, class_scores, cldice, mean_of
from geounet.score.pictures import Look, palette, side_by_side
from geounet.score.rasters import ConfidenceFile, LabelFile, RasterRows, aligned
from geounet.score.scores import (
    ClassScores,
    Place,
    SceneScores,
    Score,
    Scores,
    scores_with_limits,
    sorted_worst,
)
from geounet.score.settings import Settings

_WORST = 6


@dataclass(frozen=True, kw_only=True)
class RasterPair:
    """A scene's map and its truth."""

    name: str
    prediction: str | Path
    truth: str | Path
    confidence: str | Path | None = None
    """How sure the map is, as a run leaves it: bytes, 0 to 250."""
    look: Look | None = None
    """How the scene looks, for the pictures of the worst places."""


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A pair, open."""

    pair: RasterPair
    truth: LabelFile
    predicted: LabelFile
    sure: ConfidenceFile | None
    legends: tuple[Legend, Legend]
    nearest: tuple[NDArray[np.intp], NDArray[np.intp]] | None

    def rows(self, matching: Matching) -> RasterRows:
        """Both on one list of classes."""
        return RasterRows(
            truth=self.truth,
            predicted=self.predicted,
            matching=matching,
            nearest=self.nearest,
            confidence=self.sure,
        )


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """Rasters, counted."""

    pair: RasterPair
    rows: RasterRows
    counts: Counts
    sure: NDArray[np.int64] | None
    """``(n, BINS, 3)``: see `geounet.score.calibration`."""
    grid: BlockGrid


def score_labels(pair: RasterPair, settings: Settings) -> Scores:
    """Scores of two rasters of classes or masks, in memory that grows with their width alone.

    Raises SceneError for a file that is no raster of classes, RequestError for two that do not fit together.
    """
    return score_scenes([pair], settings)


def score_scenes(pairs: Sequence[RasterPair], settings: Settings) -> Scores:
    """Scores of several scenes together: their pixels, and their blocks for the intervals, are those of one map.

    Raises as `score_labels`, and RequestError where the scenes' classes have no names in common.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(_open(pair, settings)) for pair in pairs]
        matchings, mask = _match([o.legends for o in opened], settings)
        side = max(_side(o, len(matchings[0].names)) for o in opened)
        compared = [
            _count(o.rows(matching), o.pair, settings, side=side, mask=mask)
            for o, matching in zip(opened, matchings, strict=True)
        ]
        worst = _worst(compared)
    return _told(compared, matchings[0], worst, settings, mask=mask)


@contextmanager
def _open(pair: RasterPair, settings: Settings) -> Iterator[_Opened]:
    with ExitStack() as stack:
        truth = stack.enter_context(LabelFile(pair.truth))
        predicted = stack.enter_context(LabelFile(pair.prediction))
        sure = None
        if pair.confidence is not None:
            sure = stack.enter_context(ConfidenceFile(pair.confidence, like=predicted))
        yield _Opened(
            pair=pair,
            truth=truth,
            predicted=predicted,
            sure=sure,
            nearest=aligned(truth.geobox, predicted.geobox, resample=settings.resample),
            legends=(truth.legend(), predicted.legend()),
        )


def _match(legends: Sequence[tuple[Legend, Legend]], settings: Settings) -> tuple[list[Matching], bool]:
    """A matching for every pair, all on one list of classes, and whether these are masks."""
    mask = settings.kind == "mask" or (
        settings.kind == "auto"
        and not settings.classes
        and all(looks_like_mask(truth, predicted) for truth, predicted in legends)
    )
    match = match_mask if mask else match_classes
    if len(legends) == 1 or mask:
        return [match(truth, predicted, settings.classes) for truth, predicted in legends], mask
    truths, predictions = zip(*legends, strict=True)
    (truth, true_values), (predicted, predicted_values) = common_legend(truths), common_legend(predictions)
    whole = match(truth, predicted, settings.classes)
    return [
        replace(
            whole,
            truth={value: whole.truth[true_values[n][value]] for value in t.values},
            predicted={value: whole.predicted[predicted_values[n][value]] for value in p.values},
        )
        for n, (t, p) in enumerate(legends)
    ], mask


def common_legend(legends: Sequence[Legend]) -> tuple[Legend, list[dict[int, int]]]:
    """One legend for several rasters, and for each of them the common value of every value that occurs in it.

    By name where all have names (their numbers may differ), by number where none has.
    Raises RequestError where some have names and some do not.
    """
    named = [bool(legend.names) for legend in legends]
    if any(named) != all(named):
        raise RequestError("some of the scenes' rasters name their classes and some do not; name them all, or none")
    if not any(named):
        values = sorted({value for legend in legends for value in legend.values})
        return Legend(values=tuple(values), names={}), [{v: v for v in legend.values} for legend in legends]
    # numbers are kept where they mean one name only
    places: dict[str, int] = {}
    names: dict[int, str] = {}
    for legend in legends:
        for value in sorted({*legend.values, *legend.names}):
            name = legend.names.get(value, str(value))
            if name.casefold() not in places:
                free = value if value not in names else max(names) + 1
                places[name.casefold()], names[free] = free, name
    tables = [{v: places[legend.names.get(v, str(v)).casefold()] for v in legend.values} for legend in legends]
    occurring = sorted({place for table in tables for place in table.values()})
    return Legend(values=tuple(occurring), names=names), tables


def _side(opened: _Opened, classes: int) -> int:
    """Pixels of the side of a block that suits this scene."""
    height, width = opened.truth.geobox.shape
    return grid_over(height=height, width=width, values=classes * (classes + 3) + 4 + 3 * BINS).side


def _count(rows: RasterRows, pair: RasterPair, settings: Settings, *, side: int, mask: bool) -> _Compared:
    grid = BlockGrid(height=rows.shape[0], width=rows.shape[1], side=side)
    step = settings.rows or rows.truth.step
    counts = count(
        rows, classes=len(rows.matching.names), grid=grid, boundary=settings.boundary, skeletons=mask, step=step
    )
    if not counts.confusion.any():
        of = f" of {pair.name}" if pair.name else ""
        raise RequestError(f"prediction and truth{of} have no pixel with data in common; check nodata and place")
    sure = None if rows.confidence is None else count_calibration(rows, grid=grid, step=step)
    return _Compared(pair=pair, rows=rows, counts=counts, sure=sure, grid=grid)


def _told(
    compared: Sequence[_Compared], matching: Matching, worst: tuple[Place, ...], settings: Settings, *, mask: bool
) -> Scores:
    """The scores of everything together, and of every scene where there are several."""
    counts = _joined([c.counts for c in compared])
    sures = [c.sure for c in compared if c.sure is not None]
    sure = np.concatenate(sures) if len(sures) == len(compared) else None
    summary, classes = score_counts(counts, matching, mask=mask, settings=settings, sure=sure)
    used, side = int(counts.confusion.any((1, 2)).sum()), compared[0].grid.side
    few = [f"only {used} blocks of {side} px have data: no confidence intervals"] if used < FEWEST_BLOCKS else []
    several = len(compared) > 1
    return Scores(
        kind="mask" if mask else "labels",
        prediction=", ".join(str(c.pair.prediction) for c in compared),
        truth=", ".join(str(c.pair.truth) for c in compared),
        summary=summary,
        classes=classes,
        matrix=counts.confusion.sum(0),
        matrix_names=matching.names,
        amounts={
            "pixels": int(counts.confusion.sum()),
            "blocks": used,
            **({"scenes": len(compared)} if several else {}),
        },
        worst=worst,
        scenes=tuple(_scene(c, matching, mask=mask, settings=settings) for c in compared) if several else (),
        calibration=None if sure is None else diagram(sure.sum(0)),
        settings={
            "boundary_px": settings.boundary,
            "block_px": side,
            "draws": settings.draws,
            "seed": settings.seed,
            "resample": settings.resample,
        },
        warnings=(*matching.warnings, *(few if settings.draws else [])),
    )


def _joined(counts: Sequence[Counts]) -> Counts:
    return Counts(
        confusion=np.concatenate([c.confusion for c in counts]),
        boundary=np.concatenate([c.boundary for c in counts]),
        skeleton=np.concatenate([c.skeleton for c in counts]),
    )


def _scene(compared: _Compared, matching: Matching, *, mask: bool, settings: Settings) -> SceneScores:
    counts = compared.counts
    summary, _ = score_counts(counts, matching, mask=mask, settings=settings, sure=compared.sure)
    return SceneScores(name=compared.pair.name, pixels=int(counts.confusion.sum()), scores=summary)


def score_counts(
    counts: Counts, matching: Matching, *, mask: bool, settings: Settings, sure: NDArray[np.int64] | None = None
) -> tuple[dict[str, Score], tuple[ClassScores, ...]]:
    """Scores of the whole and of every class, with intervals over blocks, from counts by block."""
    scored = np.array(matching.scored)
    blocks: Sums = (counts.confusion, counts.boundary, counts.skeleton, *(() if sure is None else (sure,)))
    used = counts.confusion.any((1, 2))

    def whole(sums: Sums) -> Mapping[str, FloatArray]:
        found = _by_class(sums)
        error = {} if sure is None else {"ece": expected_error(sums[3])}
        if mask:
            return {
                **{name: values[..., 1] for name, values in found.items()},
                "cldice": cldice(sums[2]),
                **error,
            }
        return {
            "accuracy": accuracy(sums[0]),
            **{f"mean_{name}": mean_of(values[..., scored]) for name, values in found.items()},
            **error,
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


def _worst(compared: Sequence[_Compared]) -> tuple[Place, ...]:
    """The blocks with the most wrong pixels, with pictures."""
    found = [(c, block) for c in compared for block in range(len(c.grid))]
    wrong = np.concatenate([_wrong(c.counts.confusion) for c in compared])
    colours = {
        id(c): palette(c.rows.matching, c.rows.truth.colours(), c.rows.predicted.colours()) for c in compared
    }
    return tuple(
        _place(found[n][0], found[n][1], colours[id(found[n][0])], several=len(compared) > 1)
        for n in sorted_worst(wrong, most=_WORST)
    )


def _wrong(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` wrong pixels of every block."""
    return np.asarray(confusion.sum((1, 2)) - np.trace(confusion, axis1=1, axis2=2))


def _place(compared: _Compared, block: int, colours: NDArray[np.uint8], *, several: bool) -> Place:
    rows, window, confusion = compared.rows, compared.grid.window(block), compared.counts.confusion[block]
    off = confusion - np.diag(np.diag(confusion))
    was, called = np.unravel_index(int(off.argmax()), off.shape)
    names = rows.matching.names
    x, y = centre(rows.truth.geobox, window)
    where = f"rows {window.row_off} to {window.bottom - 1}, columns {window.col_off} to {window.right - 1}"
    look = compared.pair.look
    return Place(
        name=f"{compared.pair.name}: {where}" if several else where,
        x=x,
        y=y,
        errors=int(off.sum()),
        share=float(off.sum() / confusion.sum()),
        note=f"{names[was]} taken for {names[called]}: {int(off.max()):,} px",
        picture=side_by_side(rows.window(window), colours, image=None if look is None else look(window)),
        pictured=(*(() if look is None else ("scene",)), "truth", "prediction", "errors in red"),
    )


def centre(geobox: GeoBox, window: Window) -> tuple[float, float]:
    """Longitude and latitude of the middle of ``window``; the raster's own coordinates without a CRS."""
    x, y = geobox.affine @ (window.col_off + window.width / 2, window.row_off + window.height / 2)
    if geobox.crs is None:
        return float(x), float(y)
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(parse_crs(geobox.crs), "OGC:CRS84", always_xy=True).transform(x, y)
    return float(lon), float(lat)
