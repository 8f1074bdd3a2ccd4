"""``geounet evaluate``: look at what was given, score it, leave a report."""

from __future__ import annotations

from pathlib import Path

from geounet.errors import ConfigError, RequestError, SceneError
from geounet.io import access
from geounet.io.features import VECTOR_SUFFIXES
from geounet.score.scores import Scores
from geounet.score.settings import Settings

_RASTER_KINDS = ("labels", "mask")


def evaluate_files(
    prediction: str | Path,
    truth: str | Path,
    settings: Settings,
    *,
    confidence: str | Path | None = None,
    image: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Scores:
    """Score two files against each other; with ``output`` also write metrics.json, metrics.csv, report.html there.

    ``confidence`` (a raster beside the prediction) adds calibration, ``image`` the scene to the pictures.

    Raises RequestError (SceneError, ConfigError) where they cannot be compared; nothing was written then.
    """
    if output is not None:
        check_free(Path(output), overwrite=overwrite)
    scores = _score(prediction, truth, settings, confidence=confidence, image=image)
    if output is not None:
        from geounet.score.write import write_scores

        write_scores(Path(output), scores)
    return scores


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Raises ConfigError where the results would replace something, or cannot be put there."""
    from geounet.score.write import NAMES

    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output {folder} is a file; expected a folder")
    there = [name for name in NAMES if (folder / name).exists()]
    if there and not overwrite:
        raise ConfigError(f"{folder / there[0]} exists; add --overwrite to replace it, or choose another --output")


def _score(
    prediction: str | Path,
    truth: str | Path,
    settings: Settings,
    *,
    confidence: str | Path | None = None,
    image: str | Path | None = None,
) -> Scores:
    rasters = {what: _is_raster(path) for what, path in (("prediction", prediction), ("truth", truth))}
    if len(set(rasters.values())) > 1:
        told = ", ".join(f"the {what} is a {'raster' if r else 'vector file'}" for what, r in rasters.items())
        raise RequestError(f"{told}; expected two of the same (geounet vectorize makes polygons of a raster)")
    if rasters["truth"]:
        if settings.kind not in ("auto", *_RASTER_KINDS):
            raise RequestError(f"--kind {settings.kind} is for vector files; {prediction} and {truth} are rasters")
        from geounet.score.labels import score_labels
        from geounet.score.pairs import RasterPair

        pair = RasterPair(name="", prediction=prediction, truth=truth, confidence=confidence, image=image)
        return score_labels(pair, settings)
    if confidence is not None or image is not None:
        raise RequestError(f"--confidence and --image are for rasters; {prediction} and {truth} are vector files")
    if settings.kind in _RASTER_KINDS:
        raise RequestError(f"--kind {settings.kind} is for rasters; {prediction} and {truth} are vector files")
    from geounet.score.ground import score_vectors

    return score_vectors(prediction, truth, settings)


def _is_raster(path: str | Path) -> bool:
    """Whether a path is a raster, by its suffix and its first bytes. Raises SceneError where it is neither kind."""
    if Path(path).suffix.lower() in VECTOR_SUFFIXES and not access.is_remote(str(path)):
        return False
    try:
        access.resolve(path)
    except SceneError as error:
        if "is no raster" in str(error):
            raise SceneError(
                f"{access.one_line(str(path))} is neither a raster nor a vector file that geounet reads; expected "
                f"{access.EXPECTED}, or one of {', '.join(sorted(VECTOR_SUFFIXES))}"
            ) from None
        raise
    return True
