"""Scores of two vector files: road lines, or polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.score.apls import CONTROL_POINTS, SPACING, apls
from geounet.score.bootstrap import FEWEST_BLOCKS, Sums, intervals
from geounet.score.buffers import covered_lengths, line_scores
from geounet.score.classes import one_sided
from geounet.score.matrix import FloatArray, mean_of, overlap_scores
from geounet.score.overlay import MATCH, Polygons, area_matrix, common_ground, match_objects, object_scores
from geounet.score.scores import ClassScores, Place, Score, Scores, scores_with_limits, sorted_worst
from geounet.score.settings import Settings
from geounet.score.squares import BLOCKS, Squares
from geounet.score.vectors import VectorPair, read_pair

_WORST = 6
NO_POLYGON = "no polygon"


def score_vectors(prediction: str | Path, truth: str | Path, settings: Settings) -> Scores:
    """Scores of two vector files; see `geounet.score.vectors.read_pair` for what is raised."""
    pair = read_pair(prediction, truth, kind=settings.kind)
    score = _score_lines if pair.kind == "lines" else _score_polygons
    return score(pair, settings, (str(prediction), str(truth)))


def _score_lines(pair: VectorPair, settings: Settings, paths: tuple[str, str]) -> Scores:
    if settings.classes:
        raise ConfigError("--classes is for rasters and polygons; lines are compared as one network")
    squares = Squares(pair.truth, pair.predicted)
    sums = np.concatenate(
        [
            _covered_by_block(pair.truth, pair.predicted, squares, settings.buffer),
            _covered_by_block(pair.predicted, pair.truth, squares, settings.buffer),
        ],
        axis=1,
    )
    summary, warnings = _with_limits(sums, line_scores, settings)
    similar = apls(pair.truth, pair.predicted, snap=settings.buffer, seed=settings.seed)
    summary |= {
        "apls": Score(value=similar.apls),
        "apls_truth_to_prediction": Score(value=similar.truth_to_prediction),
        "apls_prediction_to_truth": Score(value=similar.prediction_to_truth),
    }
    missed, false = sums[:, 1] - sums[:, 0], sums[:, 3] - sums[:, 2]
    return Scores(
        kind="lines",
        prediction=paths[0],
        truth=paths[1],
        summary=summary,
        unit="m",
        amounts={"truth_m": round(float(sums[:, 1].sum()), 3), "prediction_m": round(float(sums[:, 3].sum()), 3)},
        worst=_worst(pair, squares, missed, false, sums[:, 1] + sums[:, 3], unit="m"),
        settings={
            "buffer_m": settings.buffer,
            "apls_spacing_m": SPACING,
            "apls_control_points": CONTROL_POINTS,
            "draws": settings.draws,
            "seed": settings.seed,
        },
        warnings=(*pair.warnings, *warnings),
    )


def _covered_by_block(lines: NDArray[Any], others: NDArray[Any], squares: Squares, buffer: float) -> FloatArray:
    """Metres ``(blocks, 2)``: what of ``lines`` lies near ``others``, and all of them."""
    pieces, _, at = squares.cut(lines)
    columns = (covered_lengths(pieces, others, buffer=buffer), shapely.length(pieces))
    return np.stack([np.bincount(at, weights=values, minlength=BLOCKS) for values in columns], axis=-1)


def _score_polygons(pair: VectorPair, settings: Settings, paths: tuple[str, str]) -> Scores:
    scored = _wanted(pair.classes, settings.classes)
    truth = Polygons(shapes=pair.truth, classes=pair.truth_classes)
    predicted = Polygons(shapes=pair.predicted, classes=pair.predicted_classes)
    squares = Squares(pair.truth, pair.predicted)
    classes = len(pair.classes)
    ground, matrix = _ground_sums(truth.dissolved(), predicted.dissolved(), squares, classes)
    objects = _object_sums(truth, predicted, squares, classes)

    def score(sums: Sums) -> Mapping[str, FloatArray]:
        by_class = {**overlap_scores(sums[0]), **object_scores(sums[1])}
        return by_class | {f"mean_{name}": mean_of(values[..., scored]) for name, values in by_class.items()}

    values = score((ground.sum(0), objects.sum(0)))
    used = ground.any((1, 2))
    limits = intervals((ground[used], objects[used]), score, draws=settings.draws, seed=settings.seed)
    return Scores(
        kind="polygons",
        prediction=paths[0],
        truth=paths[1],
        summary=scores_with_limits({k: v for k, v in values.items() if k.startswith("mean_")}, limits),
        classes=_polygon_classes(pair.classes, scored, ground.sum(0)[:, 1], values, limits),
        matrix=matrix,
        matrix_names=(*pair.classes, NO_POLYGON),
        unit="m²",
        amounts={"truth_objects": len(pair.truth), "prediction_objects": len(pair.predicted)},
        worst=_worst_ground(pair, squares, ground[:, scored]),
        settings={"match_iou": MATCH, "draws": settings.draws, "seed": settings.seed},
        warnings=(*pair.warnings, *_lonely(pair, scored), *_too_few(int(used.sum()), settings)),
    )


def _polygon_classes(
    names: Sequence[str],
    scored: NDArray[np.bool_],
    support: FloatArray,
    values: Mapping[str, FloatArray],
    limits: Mapping[str, tuple[Any, Any]],
) -> tuple[ClassScores, ...]:
    """Every class with its m² in the truth and its scores; ``values`` are ``(classes,)`` each, and the means."""
    own = {name: value for name, value in values.items() if not name.startswith("mean_")}
    return tuple(
        ClassScores(
            name=name,
            support=float(support[i]),
            scores=scores_with_limits(own, limits, i),
            scored=bool(scored[i]),
        )
        for i, name in enumerate(names)
    )


def _worst_ground(pair: VectorPair, squares: Squares, ground: FloatArray) -> tuple[Place, ...]:
    """Squares with the most m² of error; ``ground`` ``(blocks, classes, 3)``: both, truth, prediction."""
    both, whole, found = np.moveaxis(ground, -1, 0)
    missed, false = (whole - both).sum(1), (found - both).sum(1)
    return _worst(pair, squares, missed, false, (whole + found).sum(1), unit="m²")


def _lonely(pair: VectorPair, scored: NDArray[np.bool_]) -> list[str]:
    """A line for classes that only one layer has."""
    missing = (
        [name for i, name in enumerate(pair.classes) if scored[i] and i not in of]
        for of in (pair.truth_classes, pair.predicted_classes)
    )
    return one_sided(*missing)


def _ground_sums(
    truth: Polygons, predicted: Polygons, squares: Squares, classes: int
) -> tuple[FloatArray, FloatArray]:
    """m² ``(blocks, classes, 3)`` of both, truth, prediction; and the matrix."""
    (truth, at), (predicted, other) = (_cut(layer, squares) for layer in (truth, predicted))
    pairs = common_ground(truth, predicted)
    same = truth.classes[pairs.truth] == predicted.classes[pairs.predicted]
    mine = pairs.truth[same]
    both = _by_block(at[mine], truth.classes[mine], pairs.area[same], classes)
    whole = _by_block(at, truth.classes, shapely.area(truth.shapes), classes)
    found = _by_block(other, predicted.classes, shapely.area(predicted.shapes), classes)
    return np.stack([both, whole, found], axis=-1), area_matrix(truth, predicted, pairs, classes=classes)


def _cut(layer: Polygons, squares: Squares) -> tuple[Polygons, NDArray[np.intp]]:
    pieces, of, at = squares.cut(layer.shapes)
    return Polygons(shapes=pieces, classes=layer.classes[of]), at


def _object_sums(truth: Polygons, predicted: Polygons, squares: Squares, classes: int) -> FloatArray:
    """``(blocks, classes, 4)``: matches, predicted objects, true objects, sum of the matches' IoU."""
    matches, iou = match_objects(truth, predicted)
    at, other = (squares.of(shapely.point_on_surface(layer.shapes)) for layer in (truth, predicted))
    mine = at[matches.truth], truth.classes[matches.truth]
    parts = (
        (*mine, np.ones_like(iou)),
        (other, predicted.classes, np.ones(len(other))),
        (at, truth.classes, np.ones(len(at))),
        (*mine, iou),
    )
    return np.stack([_by_block(*part, classes) for part in parts], axis=-1)


def _by_block(at: NDArray[np.intp], of: NDArray[np.intp], values: FloatArray, classes: int) -> FloatArray:
    """Sums ``(blocks, classes)`` of ``values`` ``(n,)``."""
    sums = np.bincount(at * classes + of, weights=values, minlength=BLOCKS * classes)
    return np.asarray(sums.reshape(BLOCKS, classes), np.float64)


def _wanted(names: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which classes are part of the means. Raises ConfigError for one that is not there."""
    asked = {entry.casefold() for entry in wanted}
    for entry in wanted:
        if entry.casefold() not in {name.casefold() for name in names}:
            raise ConfigError(f"--classes {entry}: no such class; expected some of {', '.join(names)}")
    return np.array([not asked or name.casefold() in asked for name in names])


def _with_limits(sums: FloatArray, score: Any, settings: Settings) -> tuple[dict[str, Score], list[str]]:
    used = sums.any(1)
    limits = intervals((sums[used],), lambda drawn: dict(score(drawn[0])), draws=settings.draws, seed=settings.seed)
    return scores_with_limits(score(sums.sum(0)), limits), _too_few(int(used.sum()), settings)


def _too_few(used: int, settings: Settings) -> list[str]:
    few = used < FEWEST_BLOCKS and settings.draws
    return [f"only {used} blocks of ground have anything: no confidence intervals"] if few else []


def _worst(
    pair: VectorPair, squares: Squares, missed: FloatArray, false: FloatArray, whole: FloatArray, *, unit: str
) -> tuple[Place, ...]:
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(pair.crs, "OGC:CRS84", always_xy=True)
    errors = np.maximum(missed, 0) + np.maximum(false, 0)
    places = []
    for block in sorted_worst(np.round(errors, 3), most=_WORST):
        lon, lat = to_degrees.transform(*squares.middle(block))
        places.append(
            Place(
                name=f"{squares.side:,.0f} m square around {lon:.5f}, {lat:.5f}",
                x=float(lon),
                y=float(lat),
                errors=round(float(errors[block]), 3),
                share=float(min(1.0, errors[block] / whole[block])),
                note=f"{max(0.0, missed[block]):,.0f} {unit} missed, {max(0.0, false[block]):,.0f} {unit} too much",
            )
        )
    return tuple(places)
