"""``geounet preview``: pictures of a scene and what a run made of it, out of overviews: any size takes seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError, ModelError, RequestError, cannot_write
from geounet.grid.window import Window
from geounet.io.panels import paint_confidence, paint_errors, read_confidence, read_values, write_png
from geounet.io.preview import HeadMap, overlay, paint, read_labels, stretch, view_window
from geounet.io.scene import open_scene
from geounet.io.thumbnail import scene_thumbnail
from geounet.model.spec import NODATA, Head, LabelClass
from geounet.score.classes import Legend, Matching, looks_like_mask, match_classes, match_mask
from geounet.score.rasters import LabelFile, aligned, one_grid

SIZE = 1600
"""Longest side of a picture, in pixels."""
FOLDER = "previews"


@dataclass(frozen=True, kw_only=True)
class _View:
    """What of the scene is shown, and in how many pixels."""

    window: Window
    shape: tuple[int, int]


def preview_run(
    scene: str | Path,
    run: str | Path,
    *,
    truth: str | Path | None = None,
    output: str | Path | None = None,
    size: int = SIZE,
    bands: Sequence[str] | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write PNGs of a scene and of the maps in a results folder; the files by name.

    ``image``, ``overlay``, for every head ``<head>`` and, where the run left confidences, ``<head>_confidence``;
    with ``truth`` (a raster of classes or a mask on the same grid) ``<head>_errors`` for its heads.

    Raises RequestError (SceneError, ConfigError) where that cannot be; then nothing was written.
    """
    if not 16 <= size <= 20_000:
        raise ConfigError(f"--size {size}: expected 16 to 20000 pixels")
    folder = Path(run)
    target = folder / FOLDER if output is None else Path(output)
    pictures = _pictures(scene, folder, truth=truth, size=size, bands=bands)
    files = {name: target / f"{name}.png" for name in pictures}
    if not overwrite and (there := [path for path in files.values() if path.exists()]):
        raise ConfigError(f"{there[0]} exists; add --overwrite to replace it, or choose another --output")
    try:
        target.mkdir(parents=True, exist_ok=True)
        return {name: write_png(path, pictures[name]) for name, path in files.items()}
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise cannot_write(target, error) from error


def _pictures(
    scene: str | Path, folder: Path, *, truth: str | Path | None, size: int, bands: Sequence[str] | None
) -> dict[str, NDArray[np.uint8]]:
    """Colours ``(h, w, 3)`` by name."""
    rasters = label_rasters(folder)
    with open_scene(scene, bands=bands) as opened, LabelFile(next(iter(rasters.values()))[1]) as first:
        if opened.geobox.shape != first.geobox.shape:
            sizes = [f"{box.width} x {box.height} px" for box in (opened.geobox, first.geobox)]
            raise RequestError(
                f"{scene} has {sizes[0]}, the maps in {folder} have {sizes[1]}; is it another scene?"
            )
        if not one_grid(opened.geobox, first.geobox):
            raise RequestError(f"{scene} and the maps in {folder} lie at different places; is it another scene?")
        view = _view(next(iter(rasters.values()))[1], size)
        image = stretch(*scene_thumbnail(opened, window=view.window, shape=view.shape))
    maps = [
        HeadMap(head=head, labels=read_labels(path, head=head, window=view.window, shape=view.shape))
        for head, path in rasters.values()
    ]
    out = {"image": image, "overlay": overlay(image, maps)}
    for layer in maps:
        out[layer.head.name] = paint(layer.head, layer.labels)
        sure = folder / f"{layer.head.name}_confidence.tif"
        if sure.is_file():
            found = read_confidence(sure, window=view.window, shape=view.shape)
            out[f"{layer.head.name}_confidence"] = paint_confidence(found)
    if truth is not None:
        out |= _errors(truth, list(rasters.values()), view, image)
    return out


def _view(path: Path, size: int) -> _View:
    window = view_window(path)
    scale = min(1.0, size / max(window.height, window.width))
    return _View(window=window, shape=(max(1, round(window.height * scale)), max(1, round(window.width * scale))))


def label_rasters(folder: Path) -> dict[str, tuple[Head, Path]]:
    """Heads and label rasters of a results folder. A head with the values 0 and 1 alone is a mask.

    Raises ConfigError where there are none.
    """
    found = {}
    for path in sorted(folder.glob("*.tif")) if folder.is_dir() else []:
        if path.stem.endswith(("_confidence", "_cleaned")):
            continue
        with LabelFile(path) as labels:
            names, colours = labels.names, labels.colours()
        if names and sorted(names) == list(range(len(names))):
            classes = tuple(
                LabelClass(value=v, name=names[v], color=colours.get(v, "#808080")) for v in range(len(names))
            )
            kind: Literal["mask", "classes"] = "mask" if len(classes) == 2 else "classes"
            try:
                found[path.stem] = Head(name=path.stem, kind=kind, classes=classes), path
            except ModelError:  # a name that no run gives
                continue
    if not found:
        raise ConfigError(f"{folder} holds no maps of a run; expected a results folder of geounet infer")
    return found


def _errors(
    truth: str | Path, rasters: Sequence[tuple[Head, Path]], view: _View, image: NDArray[np.uint8]
) -> dict[str, NDArray[np.uint8]]:
    out = {}
    refused: RequestError | None = None
    with ExitStack() as stack:
        true = stack.enter_context(LabelFile(truth))
        seen = read_values(true.raster, window=view.window, shape=view.shape)
        if not seen[1].any():
            raise RequestError(f"--truth {truth} has no pixel with data in what is shown; expected some to compare")
        for head, path in rasters:
            predicted = stack.enter_context(LabelFile(path))
            aligned(true.geobox, predicted.geobox, resample=None)
            found = read_values(predicted.raster, window=view.window, shape=view.shape)
            try:
                matching = _match(head, _legend(true, seen), _legend(predicted, found), len(rasters))
            except RequestError as error:
                refused = error
                continue
            out[f"{head.name}_errors"] = paint_errors(
                image, _indices(*seen, matching.truth), _indices(*found, matching.predicted)
            )
    if not out and refused is not None:
        raise refused
    return out


def _match(head: Head, truth: Legend, predicted: Legend, heads: int) -> Matching:
    if head.kind == "mask":
        return match_mask(truth, predicted, (head.classes[1].name,))
    classes = {c.name.casefold() for c in head.classes}
    other = len(truth.names) in (0, 2) and truth.names.get(0, "").casefold() not in classes
    if heads > 1 and other and looks_like_mask(truth):
        raise RequestError(f"the truth is a mask, {head.name} has {len(head.classes)} classes")
    return match_classes(truth, predicted)


def _legend(labels: LabelFile, seen: tuple[NDArray[np.int64], NDArray[np.bool_]]) -> Legend:
    """The values that are shown."""
    values, valid = seen
    return Legend(values=tuple(int(v) for v in np.unique(values[valid])), names=labels.names)


def _indices(values: NDArray[np.int64], valid: NDArray[np.bool_], index: Mapping[int, int]) -> NDArray[np.uint8]:
    out = np.full(values.shape, NODATA, np.uint8)
    for value, place in index.items():
        out[valid & (values == value)] = place
    return out
