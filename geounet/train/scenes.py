"""Scenes with labels, decoded once into arrays on disk that windows are cut from."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import SceneError, WorkError
from geounet.model.spec import NODATA
from geounet.train.config import SceneConfig, TrainConfig

EMPTY = 254
"""Label of a pixel where the image has no data; scaled pixels there are 0. NODATA only says "label unknown"."""
STRIP = 1024
"""Rows that are decoded at a time."""


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """How labels are stored: as class values, or as colours."""

    classes: int
    colors: tuple[tuple[int, int, int], ...] | None
    """Colour of each class, or None where labels are class values."""
    ignored: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of(cls, config: TrainConfig) -> LabelTable:
        """The table that a training file describes."""
        given = [c.label_color for c in config.classes]
        colors = tuple(rgb(c) for c in given if c is not None)
        return cls(
            classes=len(given),
            colors=colors if len(colors) == len(given) else None,
            ignored=tuple(rgb(c) for c in config.data.ignore_colors),
        )


@dataclass(frozen=True, kw_only=True)
class TrainScene:
    """One scene in memory-mapped arrays."""

    name: str
    group: str
    image: NDArray[Any]
    """(height, width, bands), in the raster's dtype."""
    labels: NDArray[np.uint8]
    """(height, width): class values, NODATA or EMPTY."""
    synthetic: bool = False
    digest: str = ""
    """Names the files (sizes and times) and the way they were decoded."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of a scene and where it lies."""

    path: Path
    row: int
    col: int
    height: int
    width: int


def load_scene(
    config: SceneConfig, *, root: Path, bands: int, table: LabelTable, cache: Path, synthetic: bool = False
) -> TrainScene:
    """Decode a scene into ``cache``, or find it there.

    Raises SceneError where files are missing, parts do not fit, a band is missing, or labels have unknown values.
    """
    images = _parts(config, config.image, root)
    labels = _parts(config, config.labels, root)
    if _extent(images) != _extent(labels):
        raise SceneError(
            f"scene {config.name!r}: image {_extent(images)} and labels {_extent(labels)} (height, width) differ"
        )
    key = _digest(images + labels, f"{bands} {table}")
    image_file, label_file = cache / f"{key[:24]}.image.npy", cache / f"{key[:24]}.labels.npy"
    if not label_file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _decode(config.name, images, labels, bands=bands, table=table, files=(image_file, label_file))
    return TrainScene(
        name=config.name,
        group=config.group,
        image=np.load(image_file, mmap_mode="r"),
        labels=np.load(label_file, mmap_mode="r"),
        synthetic=synthetic,
        digest=key,
    )


def rgb(color: str) -> tuple[int, int, int]:
    """``#rrggbb`` as three bytes."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _open(path: Path) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except RasterioIOError as error:
        raise SceneError(f"{path} cannot be read as a raster: {' '.join(str(error).split())}") from error


def _parts(config: SceneConfig, pattern: str, root: Path) -> list[Part]:
    """The files of a pattern, row by row, ``columns`` in a row."""
    paths = sorted(root.glob(pattern)) if "*" in pattern else [root / pattern]
    if not paths or len(paths) % config.columns:
        raise SceneError(
            f"scene {config.name!r}: {pattern!r} matches {len(paths)} files in {root}; "
            f"expected a multiple of {config.columns} columns, at least one row"
        )
    rows = [paths[i : i + config.columns] for i in range(0, len(paths), config.columns)]
    parts: list[Part] = []
    top, edges = 0, None
    for row in rows:
        sizes = [_size(path) for path in row]
        widths = [width for _, width in sizes]
        if len({height for height, _ in sizes}) > 1 or widths != (edges or widths):
            raise SceneError(
                f"scene {config.name!r}: the parts of {pattern!r} do not fit together: {sizes} in a row"
            )
        lefts = np.cumsum([0, *widths[:-1]]).tolist()
        parts += [
            Part(path=path, row=top, col=left, height=sizes[0][0], width=width)
            for path, left, width in zip(row, lefts, widths, strict=True)
        ]
        top, edges = top + sizes[0][0], widths
    return parts


def _size(path: Path) -> tuple[int, int]:
    with _open(path) as dataset:
        return dataset.height, dataset.width


def _extent(parts: Sequence[Part]) -> tuple[int, int]:
    return max(p.row + p.height for p in parts), max(p.col + p.width for p in parts)


def _digest(parts: Iterable[Part], options: str) -> str:
    total = hashlib.sha256(options.encode())
    for part in parts:
        stat = part.path.stat()
        total.update(f"{part.path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return total.hexdigest()


def _strips(part: Part) -> Iterator[tuple[Any, Any, slice]]:
    """The open dataset, a strip of it, and the strip's rows in the part."""
    from rasterio.windows import Window

    with _open(part.path) as dataset:
        for top in range(0, part.height, STRIP):
            rows = min(STRIP, part.height - top)
            yield dataset, Window(0, top, part.width, rows), slice(top, top + rows)


def _decode(
    name: str,
    images: Sequence[Part],
    labels: Sequence[Part],
    *,
    bands: int,
    table: LabelTable,
    files: tuple[Path, Path],
) -> None:
    """Both arrays, the labels last: where they are, the scene is whole."""
    from rasterio.errors import RasterioError

    try:
        partial = _decode_images(name, images, bands, files[0])
        _decode_labels(name, labels, table, partial, files[1])
    except RasterioError as error:
        raise SceneError(f"scene {name!r} cannot be decoded: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise WorkError(f"scene {name!r} cannot be stored in {files[0].parent}: {error}") from error


def _decode_images(name: str, parts: Sequence[Part], bands: int, file: Path) -> dict[tuple[int, int], Any]:
    """Write the image; returns the strips that are not valid everywhere, as ``(row, col) → valid``."""
    with _open(parts[0].path) as dataset:
        dtype = dataset.dtypes[0]
    staged = file.with_suffix(".tmp")
    out = np.lib.format.open_memmap(staged, mode="w+", dtype=dtype, shape=(*_extent(parts), bands))
    partial = {}
    for part in parts:
        for dataset, window, rows in _strips(part):
            if dataset.count < bands:
                raise SceneError(f"scene {name!r}: {part.path.name} has {dataset.count} bands; expected {bands}")
            pixels = dataset.read(range(1, bands + 1), window=window)
            valid = dataset.dataset_mask(window=window) > 0
            if not np.issubdtype(pixels.dtype, np.integer):
                valid &= np.isfinite(pixels).all(0)
            top = part.row + rows.start
            out[top : top + len(valid), part.col : part.col + part.width] = pixels.transpose(1, 2, 0)
            if not valid.all():
                partial[top, part.col] = valid
    out.flush()
    staged.replace(file)
    return partial


def _decode_labels(
    name: str, parts: Sequence[Part], table: LabelTable, partial: dict[tuple[int, int], Any], file: Path
) -> None:
    staged = file.with_suffix(".tmp")
    out = np.lib.format.open_memmap(staged, mode="w+", dtype=np.uint8, shape=_extent(parts))
    for part in parts:
        for dataset, window, rows in _strips(part):
            labels = _read_labels(name, dataset, window, table)
            top = part.row + rows.start
            out[top : top + len(labels), part.col : part.col + part.width] = labels
    for (top, left), valid in partial.items():
        view = out[top : top + valid.shape[0], left : left + valid.shape[1]]
        view[~valid] = EMPTY
    out.flush()
    staged.replace(file)


def _read_labels(name: str, dataset: Any, window: Any, table: LabelTable) -> NDArray[np.uint8]:
    if table.colors is not None:
        return decode_colors(_as_rgb(name, dataset, window), table, where=f"scene {name!r}")
    values = dataset.read(1, window=window)
    unknown = values == NODATA
    if dataset.nodata is not None:
        unknown |= values == dataset.nodata
    strange = ~unknown & ((values < 0) | (values >= table.classes))
    if strange.any():
        raise SceneError(
            f"scene {name!r}: labels hold {_counts(values[strange])}; "
            f"expected 0 to {table.classes - 1}, or {NODATA} for unknown"
        )
    return np.where(unknown, NODATA, values).astype(np.uint8)


def _as_rgb(name: str, dataset: Any, window: Any) -> NDArray[np.uint8]:
    """(3, height, width), also from a palette raster, which holds indices."""
    from rasterio.enums import ColorInterp

    if dataset.colorinterp[0] == ColorInterp.palette:
        palette = np.zeros((256, 3), np.uint8)
        for index, color in dataset.colormap(1).items():
            palette[index] = color[:3]
        return palette[dataset.read(1, window=window)].transpose(2, 0, 1)
    if dataset.count < 3:
        raise SceneError(f"scene {name!r}: the colour mask has {dataset.count} bands; expected red, green, blue")
    return dataset.read((1, 2, 3), window=window)


def decode_colors(pixels: NDArray[np.uint8], table: LabelTable, *, where: str) -> NDArray[np.uint8]:
    """Class values ``(height, width)`` of a colour mask ``(3, height, width)``.

    Raises SceneError that names unknown colours with their counts.
    """
    code = (pixels[0].astype(np.uint32) << 16) | (pixels[1].astype(np.uint32) << 8) | pixels[2]
    labels = np.full(code.shape, NODATA, np.uint8)
    known = np.zeros(code.shape, bool)
    for value, color in [*enumerate(table.colors or ()), *((NODATA, color) for color in table.ignored)]:
        here = code == int.from_bytes(bytes(color))
        labels[here] = value
        known |= here
    if not known.all():
        raise SceneError(
            f"{where}: the colour mask holds {_counts(code[~known], '#{:06x}')}, which no class has; "
            "add them to the classes or to data.ignore_colors"
        )
    return labels


def _counts(values: NDArray[Any], form: str = "{}") -> str:
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts)[:4]
    listed = ", ".join(f"{form.format(found[i])} ({counts[i]} pixels)" for i in order)
    return listed + (f" and {len(found) - 4} more" if len(found) > 4 else "")
