"""The calls that a Python program makes: the command line's commands with the same options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from numpy.typing import NDArray

from geounet.config import Options, build_options, load_config
from geounet.errors import ConfigError
from geounet.io.gdal import cache_given_back
from geounet.run.pipeline import infer_scene, plan_scene
from geounet.run.plan import Plan
from geounet.run.progress import Progress
from geounet.run.result import Run
from geounet.score.evaluate import evaluate_files
from geounet.score.scores import Scores
from geounet.score.settings import Settings

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from geounet.judge.evaluation import Evaluation
    from geounet.run.vector_result import VectorResult

ScenePath = str | Path


@cache_given_back()
def infer(
    scene: ScenePath | Sequence[ScenePath],
    *,
    config: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> Run:
    """Run a model over a scene and leave its maps in a folder: COGs, vectors, a STAC item, a preview, a report.

    ``scene`` is a path; several paths with ``stack=True`` are the bands of one scene. Options are those of
    ``geounet infer`` with underscores (``geounet infer --help``); they win over ``config``, a YAML file, which
    wins over the model's own defaults.

    Raises RequestError where the request cannot work and nothing was touched, WorkError where blocks kept
    failing, Interrupted after a KeyboardInterrupt; after both of these the same call goes on where it stopped.
    """
    return infer_scene(_paths(scene), _options(config, options), progress=progress)


@cache_given_back()
def plan(
    scene: ScenePath | Sequence[ScenePath], *, config: str | Path | None = None, **options: Unpack[Options]
) -> Plan:
    """What :func:`infer` would do with the same arguments, and what it would cost. Touches nothing."""
    return plan_scene(_paths(scene), _options(config, options))


@cache_given_back()
def evaluate(
    prediction: str | Path,
    truth: str | Path,
    *,
    kind: str = "auto",
    classes: Sequence[str] = (),
    buffer: float = 4.0,
    boundary: int = 3,
    resample: bool = False,
    draws: int = 1000,
    seed: int = 0,
    confidence: str | Path | None = None,
    image: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Scores:
    """Score a map against the truth: two rasters of classes or masks, or two vector files of lines or polygons.

    Args:
        prediction: what is to be scored.
        truth: what it should be. Rasters must lie on one grid; pixels without data in either do not count.
        kind: ``labels``, ``mask``, ``lines``, ``polygons``; ``auto`` looks at the files (a mask holds 0 and 1,
            or 0 and 255, and nothing else).
        classes: names or numbers of the classes that count, or ``"NUMBER=NAME"`` for names that hold in both
            files; empty: all. The others become one class, ``other``, that is not part of the means.
        buffer: metres that a line may lie beside the true one (completeness, correctness, quality, APLS).
        boundary: pixels from a border that count for boundary IoU.
        resample: take the nearest pixel of a prediction on another grid of the same CRS, instead of refusing it.
        draws: bootstrap draws over blocks of ground for the 95 % intervals; 0: none.
        seed: of the draws and of the control points of APLS; the same seed gives the same numbers.
        confidence: a raster of how sure the prediction is (``<head>_confidence.tif``): adds calibration.
        image: the scene, to show it beside the worst places of the report.
        output: a folder for ``metrics.json``, ``metrics.csv`` and ``report.html``.
        overwrite: replace these files where they exist.

    Raises RequestError (SceneError, ConfigError) where the two cannot be compared; nothing was written then.
    How each score is computed, and by whom it was proposed, is in docs/evaluate.md.
    """
    settings = Settings(
        kind=kind,
        classes=tuple(classes),
        buffer=buffer,
        boundary=boundary,
        resample=resample,
        draws=draws,
        seed=seed,
    )
    return evaluate_files(
        prediction, truth, settings, confidence=confidence, image=image, output=output, overwrite=overwrite
    )


@cache_given_back()
def evaluate_model(
    model: str | Path,
    *,
    data: str | Path | None = None,
    scene: ScenePath | None = None,
    truth: str | Path | None = None,
    only: Sequence[str] = (),
    side: str | None = None,
    classes: Sequence[str] = (),
    buffer: float = 4.0,
    boundary: int = 3,
    draws: int = 1000,
    seed: int = 0,
    maps: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    config: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Score a model on whole labelled scenes: each is mapped as :func:`infer` does it, then compared.

    Args:
        model: a name, a package folder or an ``.onnx`` file.
        data: a YAML file of scenes and labels: a training file, or a small one (docs/evaluate.md). Or:
        scene: one scene, and
        truth: its labels, a raster of classes or a mask on the scene's grid.
        only: names or groups of the scenes of ``data`` that count; empty: all.
        side: of a training file what it ``learned``, ``validated`` or kept as ``holdout``, with its squares.
        classes, buffer, boundary, draws, seed, output, overwrite: as of :func:`evaluate`.
        maps: a folder where the maps stay, one folder per scene; None: they are gone afterwards.
        config: a YAML file of options of :func:`infer`.
        progress: hears how far the runs are.
        **options: of :func:`infer`: ``overlap``, ``tta``, ``threshold``, …

    Raises RequestError where it cannot work, and what :func:`infer` raises.
    """
    from geounet.judge.data import Judged
    from geounet.judge.evaluate import evaluate_scenes

    if (data is None) == (scene is None) or (scene is None) != (truth is None):
        raise ConfigError("expected a data file, or a scene and its truth")
    if data is None and (only or side is not None):
        raise ConfigError("--only and --side choose among the scenes of --data, which is not given")
    pairs = []
    if scene is not None and truth is not None:
        pairs = [Judged(name=Path(scene).stem, image=Path(scene), truth=Path(truth))]
    merged: Any = {**options, "model": str(model), **({} if maps is None else {"output": maps})}
    return evaluate_scenes(
        _options(config, merged),
        Settings(classes=tuple(classes), buffer=buffer, boundary=boundary, draws=draws, seed=seed),
        data=None if data is None else Path(data),
        pairs=pairs,
        only=only,
        side=side,
        output=None if output is None else Path(output),
        overwrite=overwrite,
        progress=progress,
    )


@cache_given_back()
def preview(
    scene: ScenePath,
    run: str | Path | Run,
    *,
    truth: str | Path | None = None,
    output: str | Path | None = None,
    size: int = 1600,
    bands: Sequence[str] | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write PNGs of a scene and of what :func:`infer` made of it; the files by name.

    Args:
        scene: the scene of the run.
        run: its results folder, or what :func:`infer` returned.
        truth: a raster of classes or a mask on the same grid: adds ``<head>_errors``.
        output: where the pictures go; None: ``previews`` in the results folder.
        size: pixels of the longest side.
        bands: bands to show, by number or name.
        overwrite: replace pictures that are there.

    Raises RequestError where that cannot be; nothing was written then.
    """
    from geounet.judge.preview import preview_run

    folder = run.output if isinstance(run, Run) else run
    return preview_run(scene, folder, truth=truth, output=output, size=size, bands=bands, overwrite=overwrite)


@cache_given_back()
def vectorize(
    labels: ScenePath | NDArray[Any],
    *,
    output: str | Path | None = None,
    transform: Any = None,
    crs: Any = None,
    nodata: float | None = None,
    **options: Any,
) -> GeoDataFrame | VectorResult:
    """Turn a label raster into polygons: a GeoDataFrame, or files where an ``output`` is given.

    Args:
        labels: the path of a raster, or an array ``(height, width)`` of whole numbers (or of probabilities, with
            ``threshold``).
        output: a vector file to write, in the format of its suffix unless ``formats`` says others; then the result
            is a :class:`VectorResult`. None: nothing is left on disk.
        transform: of an array: the affine from (column, row) to coordinates; None: coordinates are pixels.
        crs: of an array: its CRS, as rasterio takes it; it goes with ``transform``.
        nodata: of an array: the value that means no data; so does the mask of a masked array.
        **options: as of ``geounet vectorize`` with underscores: ``min_area``, ``min_hole``, ``simplify``,
            ``smooth``, ``regularize``, ``threshold``, ``confidence``, ``stats``, ``aoi``, ``cleaned``, ``formats``,
            ``overwrite``, …; see :func:`geounet.run.vectorize.vectorize`.

    Raises:
        SceneError: the raster cannot be read as labels.
        ConfigError: an option is wrong, or an output file is there already.
    """
    from geounet.run.frames import frame_of, raster_of
    from geounet.run.vectorize import vectorize as to_files

    if output is not None:
        options["formats"] = _formats(options.get("formats"), output)
    if isinstance(labels, str | Path):
        if (transform, crs, nodata) != (None, None, None):
            raise ConfigError("transform, crs and nodata belong to an array; a file has its own")
        return frame_of(labels, **options) if output is None else to_files(labels, output=output, **options)
    floats = options.get("threshold") is not None
    with raster_of(labels, transform=transform, crs=crs, nodata=nodata, floats=floats) as path:
        return frame_of(path, **options) if output is None else to_files(path, output=output, **options)


def _formats(given: str | Sequence[str] | None, output: str | Path) -> Sequence[str]:
    """Names of formats: those given, in one text or several, or that of the output's suffix."""
    from geounet.io.vectors import format_of

    if isinstance(given, str):
        return given.split(",")
    return [format_of(output)] if given is None else given


def _paths(scene: ScenePath | Sequence[ScenePath]) -> list[ScenePath]:
    return [scene] if isinstance(scene, str | Path) else list(scene)


def _options(config: str | Path | None, options: Any) -> Any:
    return build_options(load_config(config) if config is not None else {}, options)
