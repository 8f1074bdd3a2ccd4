"""Scores of rasters of classes, or of masks: of one pair, or of several scenes together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.errors import RequestError
from geounet.grid.geobox import GeoBox
from geounet.score.bootstrap import FEWEST_BLOCKS, BlockGrid, grid_over
from geounet.score.calibration import BINS, count_calibration, diagram
from geounet.score.classes import Legend, Matching
from geounet.score.counts import Counts, count
from geounet.score.legends import match_scenes
from geounet.score.pairs import RasterPair, looking_at, opened
from geounet.score.scores import Place, SceneScores, Scores
from geounet.score.settings import Settings
from geounet.score.totals import joined, score_counts
from geounet.score.worst import Compared, worst_places


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What a first look at a pair's files tells."""

    legends: tuple[Legend, Legend]
    box: GeoBox
    """The truth's grid."""


def score_labels(pair: RasterPair, settings: Settings) -> Scores:
    """Scores of two rasters of classes or masks, in memory that grows with their width alone.

    Raises SceneError for a file that is no raster of classes, RequestError for two that do not fit together.
    """
    return score_scenes([pair], settings)


def score_scenes(pairs: Sequence[RasterPair], settings: Settings) -> Scores:
    """Scores of several scenes together: their pixels, and their blocks for the intervals, are those of one map.

    Raises as `score_labels`, and RequestError where the scenes' classes have no names in common.
    """
    looked = [_look(pair, settings) for pair in pairs]
    matchings, mask = match_scenes([each.legends for each in looked], settings)
    side = max(_side(each.box, len(matchings[0].names)) for each in looked)
    compared = [
        _count(pair, matching, settings, side=side, mask=mask)
        for pair, matching in zip(pairs, matchings, strict=True)
    ]
    worst = worst_places(compared, resample=settings.resample)
    return _told(compared, worst, settings, mask=mask)


def _look(pair: RasterPair, settings: Settings) -> _Looked:
    """What values occur; and whether everything can be opened, before the counting begins."""
    if pair.image is not None:
        with looking_at(pair.image, pair.truth, bands=pair.bands):
            pass
    with opened(pair, resample=settings.resample) as files:
        return _Looked(legends=(files.truth.legend(), files.predicted.legend()), box=files.truth.geobox)


def _side(box: GeoBox, classes: int) -> int:
    """Pixels of the side of a block that suits this scene."""
    return grid_over(height=box.height, width=box.width, values=classes * (classes + 3) + 4 + 3 * BINS).side


def _count(pair: RasterPair, matching: Matching, settings: Settings, *, side: int, mask: bool) -> Compared:
    with opened(pair, resample=settings.resample) as files:
        rows = files.rows(matching)
        grid = BlockGrid(height=rows.shape[0], width=rows.shape[1], side=side)
        step = settings.rows or rows.truth.step
        counts = count(
            rows, classes=len(matching.names), grid=grid, boundary=settings.boundary, skeletons=mask, step=step
        )
        if not counts.confusion.any():
            of = f" of {pair.name}" if pair.name else ""
            raise RequestError(
                f"prediction and truth{of} have no pixel with data in common; check nodata and place"
            )
        sure = None if rows.confidence is None else count_calibration(rows, grid=grid, step=step)
    return Compared(pair=pair, matching=matching, counts=counts, sure=sure, grid=grid)


def _told(compared: Sequence[Compared], worst: tuple[Place, ...], settings: Settings, *, mask: bool) -> Scores:
    """The scores of everything together, and of every scene where there are several."""
    matching, side = compared[0].matching, compared[0].grid.side
    counts, sure = _together(compared)
    summary, classes = score_counts(counts, matching, mask=mask, settings=settings, sure=sure)
    used = int(counts.confusion.any((1, 2)).sum())
    few = [f"only {used} blocks of {side} px have data: no confidence intervals"] if used < FEWEST_BLOCKS else []
    scenes = _scenes(compared, settings, mask=mask)
    amounts = {"pixels": int(counts.confusion.sum()), "blocks": used}
    if len(compared) > 1:
        amounts |= {"scenes": len(scenes)} | ({"images": len(compared)} if len(compared) > len(scenes) else {})
    return Scores(
        kind="mask" if mask else "labels",
        prediction=", ".join(str(c.pair.prediction) for c in compared),
        truth=", ".join(str(c.pair.truth) for c in compared),
        summary=summary,
        classes=classes,
        matrix=counts.confusion.sum(0),
        matrix_names=matching.names,
        amounts=amounts,
        worst=worst,
        scenes=scenes if len(scenes) > 1 else (),
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


def _together(compared: Sequence[Compared]) -> tuple[Counts, NDArray[np.int64] | None]:
    """The blocks of all pairs; confidences where all of them have some."""
    sures = [c.sure for c in compared if c.sure is not None]
    return joined([c.counts for c in compared]), np.concatenate(sures) if len(sures) == len(compared) else None


def _scenes(compared: Sequence[Compared], settings: Settings, *, mask: bool) -> tuple[SceneScores, ...]:
    """Every scene by itself; the chips of a folder are one."""
    members: dict[str, list[Compared]] = {}
    for each in compared:
        members.setdefault(each.pair.told_as, []).append(each)
    return tuple(_scene(name, of, settings, mask=mask) for name, of in members.items())


def _scene(name: str, compared: Sequence[Compared], settings: Settings, *, mask: bool) -> SceneScores:
    counts, sure = _together(compared)
    summary, _ = score_counts(counts, compared[0].matching, mask=mask, settings=settings, sure=sure)
    return SceneScores(name=name, pixels=int(counts.confusion.sum()), scores=summary)
