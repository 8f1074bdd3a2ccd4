"""``geounet evaluate --model``: map whole scenes as any run does, then score the maps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from geounet.errors import ConfigError, RequestError
from geounet.io.scene import open_scene
from geounet.judge.data import Judged, labelled_scenes
from geounet.judge.evaluation import Evaluation
from geounet.model.package import Package, load_model
from geounet.model.spec import Head, ModelSpec
from geounet.run.options import InferOptions
from geounet.run.pipeline import infer_scene
from geounet.run.progress import Progress
from geounet.run.result import Run
from geounet.score.classes import looks_like_mask
from geounet.score.evaluate import check_free
from geounet.score.ground import score_vectors
from geounet.score.labels import score_scenes
from geounet.score.pairs import RasterPair
from geounet.score.rasters import LabelFile, aligned
from geounet.score.scores import Scores
from geounet.score.settings import Settings


def evaluate_scenes(
    options: InferOptions,
    settings: Settings,
    *,
    data: Path | None = None,
    pairs: Sequence[Judged] = (),
    only: Sequence[str] = (),
    side: str | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Map scenes with the model of ``options`` through the route of every run, and score the maps.

    ``options.output`` keeps the maps in a folder per scene, where the same call finds them again; without it they
    are gone afterwards. ``data``: a data file, ``only`` and ``side`` what of it counts (see `labelled_scenes`);
    ``pairs``: scenes and truths by themselves.

    Raises RequestError where it cannot work, and what `geounet.run.pipeline.infer_scene` raises.
    """
    if output is not None:
        check_free(output, overwrite=overwrite)
    package = load_model(options.model, allow_pickle=options.allow_pickle)
    with _maps_folder(options) as maps, tempfile.TemporaryDirectory(prefix="geounet-") as scratch:
        scenes, doubts = [*pairs], list[str]()
        if data is not None:
            scenes, doubts = labelled_scenes(data, package.spec, only=only, side=side, scratch=Path(scratch))
        _check_names(scenes)
        for scene in pairs:
            _check_grid(scene)
        runs = _map_all(scenes, options, maps, progress or Progress())
        found = _evaluation(package, scenes, runs, options=options, settings=settings, scratch=Path(scratch))
    found = replace(found, warnings=(*seen_before(scenes, package.spec), *doubts, *found.warnings))
    if output is not None:
        found.write(output)
    return found


def _evaluation(
    package: Package,
    scenes: Sequence[Judged],
    runs: Sequence[Run],
    *,
    options: InferOptions,
    settings: Settings,
    scratch: Path,
) -> Evaluation:
    """The scores of the maps, and of which model and options they are."""
    parts, warnings = _score(scenes, runs, package.spec, options=options, settings=settings, scratch=scratch)
    return Evaluation(
        model=f"{package.spec.name} {package.spec.version}",
        digest=package.digest,
        scenes=_names(scenes),
        parts=parts,
        settings=_seen(options, package.spec, runs),
        warnings=tuple(warnings),
    )


@contextmanager
def _maps_folder(options: InferOptions) -> Iterator[Path]:
    if options.output is not None:
        yield options.output
        return
    with tempfile.TemporaryDirectory(prefix="geounet-maps-") as folder:
        yield Path(folder)


def _check_names(scenes: Sequence[Judged]) -> None:
    """ConfigError where two scenes would share a folder."""
    names = [scene.name for scene in scenes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or not names:
        raise ConfigError(f"two scenes are called {twice!r}; give each its own name" if twice else "no scene given")
    alone = [scene.told_as for scene in scenes]
    if strange := next((name for name in alone if Path(name).name != name or name in ("", "..", ".")), None):
        raise ConfigError(f"scene name {strange!r}: expected a name without folders")


def _check_grid(scene: Judged) -> None:
    """RequestError where a truth lies elsewhere than its scene: before that is mapped, which may take hours."""
    with open_scene(scene.image) as image, LabelFile(scene.truth) as truth:
        try:
            aligned(truth.geobox, image.geobox, resample=None)
        except RequestError as error:
            raise RequestError(f"{scene.truth} is no truth of {scene.image}: {error}") from error


def _names(scenes: Sequence[Judged]) -> tuple[str, ...]:
    """Every scene, and every folder of chips, once."""
    return tuple(dict.fromkeys(scene.told_as for scene in scenes))


def _map_all(scenes: Sequence[Judged], options: InferOptions, maps: Path, progress: Progress) -> list[Run]:
    """Every scene with its stages; chips are one stage together, or there would be no end of lines."""
    runs = {scene.name: _map(scene, options, maps, progress) for scene in scenes if not scene.origin}
    if chips := [scene for scene in scenes if scene.origin]:
        progress.start("chips", total=len(chips), unit="images")
        for chip in chips:
            runs[chip.name] = _map(chip, options, maps, Progress())
            progress.advance()
        progress.finish()
    return [runs[scene.name] for scene in scenes]


def _map(scene: Judged, options: InferOptions, maps: Path, progress: Progress) -> Run:
    """One scene through the pipeline, with what the scores need: confidences, and GeoJSON for the lines."""
    formats = options.formats if "geojson" in options.formats else (*options.formats, "geojson")
    wanted = replace(options, output=maps / scene.name, confidence=True, formats=formats)
    return infer_scene([scene.image], wanted, progress=progress)


def _score(
    scenes: Sequence[Judged],
    runs: Sequence[Run],
    spec: ModelSpec,
    *,
    options: InferOptions,
    settings: Settings,
    scratch: Path,
) -> tuple[dict[str, Scores], list[str]]:
    """Scores by part, and what could not be scored."""
    parts: dict[str, Scores] = {}
    warnings: list[str] = []
    for head in _heads(scenes, spec):
        try:
            parts[head.name] = _score_head(head, scenes, runs, options, settings)
        except RequestError as error:
            warnings.append(f"{head.name} is not scored: {error}")
            continue
        lined = [pair for pair in zip(scenes, runs, strict=True) if head.lines and not pair[0].origin]
        for scene, run in lined:
            name = f"{head.name}_lines of {scene.name}"
            try:
                parts[name] = _score_lines(head, scene, run, settings, scratch)
            except RequestError as error:
                warnings.append(f"{name} are not scored: {error}")
    if not parts:
        raise RequestError("; ".join(warnings) or f"no head of {spec.name} can be scored")
    return parts, warnings


def _heads(scenes: Sequence[Judged], spec: ModelSpec) -> list[Head]:
    """The heads that the truth speaks of: a mask of something is the truth of masks only."""
    masks = [head for head in spec.heads if head.kind == "mask"]
    if not masks or len(masks) == len(spec.heads):
        return list(spec.heads)
    return masks if all(is_mask_alone(scene.truth, spec.heads) for scene in scenes) else list(spec.heads)


def is_mask_alone(path: str | Path, heads: Sequence[Head]) -> bool:
    """Whether a truth says what is there, and of all else only that it is something else, no class of ``heads``."""
    with LabelFile(path) as truth:
        classes = {c.name.casefold() for head in heads if head.kind == "classes" for c in head.classes}
        if len(truth.names) not in (0, 2) or truth.names.get(0, "").casefold() in classes:
            return False
        return looks_like_mask(truth.legend())


def _score_head(
    head: Head, scenes: Sequence[Judged], runs: Sequence[Run], options: InferOptions, settings: Settings
) -> Scores:
    mask = head.kind == "mask"
    wanted = replace(settings, kind="mask", classes=(head.classes[1].name,)) if mask else settings
    pairs = [
        RasterPair(
            name=scene.name,
            prediction=run.paths[f"{head.name}.tif"],
            truth=scene.truth,
            confidence=run.paths[f"{head.name}_confidence.tif"],
            image=scene.image,
            bands=None if options.bands is None else tuple(options.bands),
            origin=scene.origin,
        )
        for scene, run in zip(scenes, runs, strict=True)
    ]
    return replace(score_scenes(pairs, wanted), prediction=head.name, truth=", ".join(_names(scenes)))


def _score_lines(head: Head, scene: Judged, run: Run, settings: Settings, scratch: Path) -> Scores:
    """Centre-lines against the true ones: those that were given, else those of the true mask, drawn alike."""
    if run.area_unit == "px":
        raise RequestError("the scene has no CRS, and nobody knows how long a pixel is")
    predicted = run.paths[f"{head.name}_lines.geojson"]
    truth = scene.lines if scene.lines is not None else _drawn(head, scene, scratch)
    found = score_vectors(predicted, truth, replace(settings, kind="lines", classes=()))
    return replace(found, prediction=f"{head.name}_lines", truth=scene.name if scene.lines is None else str(truth))


def _drawn(head: Head, scene: Judged, scratch: Path) -> Path:
    from geounet.run.vectorize import vectorize

    folder = scratch / f"{scene.name}_{head.name}_lines"
    folder.mkdir()
    with LabelFile(scene.truth) as truth:
        named = head.classes[1].name.casefold() in (name.casefold() for name in truth.names.values())
    vectorize(scene.truth, output=folder / "truth.geojson", lines=head.classes[1].name if named else "1")
    return next(folder.glob("*_lines.geojson"))


def _seen(options: InferOptions, spec: ModelSpec, runs: Sequence[Run]) -> dict[str, object]:
    """How the network saw the scenes."""
    overlap = spec.overlap if options.overlap is None else options.overlap
    shown: dict[str, object] = {"tile": options.tile or spec.tile, "overlap": overlap, "tta": options.tta}
    shown["gsd"] = "auto" if options.gsd is None else options.gsd
    return shown | {"engine": runs[0].engine}


def seen_before(scenes: Sequence[Judged], spec: ModelSpec) -> list[str]:
    """A line for scenes that the model was trained on, as its package says."""
    story = spec.provenance
    learned = {entry.get("name") for entry in story.get("trained_on", ()) if isinstance(entry, dict)}
    at_last = bool(story.get("finish"))  # the last steps learned what was validated on, and `trained_on` lists it
    again = _names([s for s in scenes if {s.name, s.told_as} & learned and (at_last or not s.held_out)])
    if not again:
        return []
    return [f"{spec.name} was trained on {', '.join(again)}: these scores say nothing about other places"]
