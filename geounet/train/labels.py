"""What a scene's labels say at each pixel: class rasters, colour masks, vectors, as class values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError, SceneError
from geounet.grid.window import Window
from geounet.io import access
from geounet.io.burn import BurnLayer
from geounet.io.features import VECTOR_SUFFIXES
from geounet.io.palette import PaletteLayer, has_palette
from geounet.io.raster import Layer, Raster
from geounet.model.spec import NODATA, rgb
from geounet.train.config import UNKNOWN, LabelsConfig, LayerConfig, TrainConfig

_LISTED = 4


@dataclass(frozen=True, kw_only=True)
class Legend:
    """What classes there are, and how colour masks show them."""

    names: tuple[str, ...]
    """By class value."""
    colors: tuple[str | None, ...]
    """Of each class in colour masks, ``#rrggbb``; None where it has none."""
    ignored: tuple[str, ...] = ()
    """Colours that mean nothing."""

    @classmethod
    def of(cls, config: TrainConfig) -> Legend:
        """That of a training file."""
        return cls(
            names=tuple(c.name for c in config.classes),
            colors=tuple(c.label_color for c in config.classes),
            ignored=config.data.ignore_colors,
        )

    @property
    def without_colors(self) -> Legend:
        """The same classes, said in values."""
        return replace(self, colors=(None,) * len(self.names))


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """How a raster of labels is read: as class values, or as colours."""

    classes: int
    colors: tuple[tuple[int, int, int], ...] | None
    """Colour of each class, or None where labels are class values."""
    ignored: tuple[tuple[int, int, int], ...] = ()
    values: tuple[tuple[int, int], ...] = ()
    """Value in the file and class value (or NODATA); empty: they are the same."""

    @classmethod
    def of(cls, legend: Legend, labels: LabelsConfig | None = None) -> LabelTable:
        """The table that a file describes. ConfigError where a scene asks for what it does not say."""
        colors = tuple(rgb(c) for c in legend.colors if c is not None)
        complete = len(colors) == len(legend.names)
        kind = "auto" if labels is None else labels.kind
        if kind == "colors" and not complete:
            without = legend.names[legend.colors.index(None)]
            raise ConfigError(f"labels of kind colors, but class {without!r} has no label_color; add it")
        values = {} if labels is None else labels.values
        as_values = kind == "values" or bool(values)
        return cls(
            classes=len(legend.names),
            colors=colors if complete and not as_values else None,
            ignored=tuple(rgb(c) for c in legend.ignored),
            values=tuple((raw, class_value(name, legend)) for raw, name in sorted(values.items())),
        )


def class_value(name: str, legend: Legend) -> int:
    """The value of a class by its name, NODATA for ``unknown``. Raises ConfigError for another name."""
    if name == UNKNOWN:
        return NODATA
    if name not in legend.names:
        raise ConfigError(f"labels name a class {name!r}; expected one of {', '.join(legend.names)}, {UNKNOWN}")
    return legend.names.index(name)


def burn_layer(layer: LayerConfig, root: Path, legend: Legend) -> BurnLayer:
    """A layer of vectors with class values instead of names."""
    names = {name: value for value, name in enumerate(legend.names)}
    numbers = {str(value): value for value in range(len(names))}
    meant = {text: class_value(name, legend) for text, name in layer.classes.items()}
    return BurnLayer(
        path=root / layer.file,
        layer=layer.layer,
        value=None if layer.marks is None else class_value(layer.marks, legend),
        field=layer.field,
        values={**numbers, **names, UNKNOWN: NODATA, **meant},
        width=layer.width,
        width_field=layer.width_field,
    )


class LabelFile:
    """An open raster of labels. Belongs to the thread that opened it."""

    def __init__(self, path: Path, table: LabelTable, *, where: str) -> None:
        """Raises SceneError for a file that is no raster of such labels."""
        if path.suffix.lower() in VECTOR_SUFFIXES:
            raise SceneError(f"{where}: {path.name} is a vector file; name it under labels.layers, with its class")
        self._table, self._where, self._name = table, where, path.name
        with Raster(access.resolve(str(path))) as found:
            count = len(found.image_bands)
            palette = has_palette(found)
        if table.colors is not None and count < 3 and not palette:
            raise SceneError(
                f"{where}: {path.name} has {count} band{'s' * (count > 1)} and no palette; "
                "expected red, green, blue, since the classes have label colours (or kind: values)"
            )
        if table.colors is None and count > 1:
            raise SceneError(f"{where}: {path.name} has {count} bands; expected one band of class values")
        self.raster = Raster(access.resolve(str(path)), bands=(0, 1, 2) if table.colors and not palette else (0,))
        self._palette = table.colors is not None and palette
        self._layer: Layer = PaletteLayer(self.raster) if self._palette else self.raster

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class values ``(height, width)``, NODATA where nothing is known. SceneError for what no class has."""
        piece = self._layer.read(window)
        unknown = ~piece.valid
        if self._table.colors is not None:
            pixels = piece.data[1:] if self._palette else piece.data
            return decode_colors(pixels, self._table, where=f"{self._where}: {self._name}", unknown=unknown)
        return decode_values(piece.data[0], self._table, where=f"{self._where}: {self._name}", unknown=unknown)

    def close(self) -> None:
        """Close the file."""
        self._layer.close()


def decode_values(
    values: NDArray[Any], table: LabelTable, *, where: str, unknown: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Class values of the values in a file. Raises SceneError that names others with their counts."""
    pairs = table.values or tuple((value, value) for value in range(table.classes))
    out = np.full(values.shape, NODATA, np.uint8)
    known = values == NODATA if not any(raw == NODATA for raw, _ in pairs) else np.zeros(values.shape, bool)
    if unknown is not None:
        known |= unknown
    for raw, value in pairs:
        here = values == raw
        out[here] = value
        known |= here
    if unknown is not None:
        out[unknown] = NODATA
    if not known.all():
        expected = ", ".join(str(raw) for raw, _ in pairs) if table.values else f"0 to {table.classes - 1}"
        raise SceneError(
            f"{where}: the labels hold {_counts(values[~known])}; expected {expected}, or {NODATA} for unknown; "
            "labels.values says what others mean"
        )
    return out


def decode_colors(
    pixels: NDArray[Any], table: LabelTable, *, where: str, unknown: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Class values ``(height, width)`` of a colour mask ``(3, height, width)``.

    Raises SceneError that names unknown colours with their counts.
    """
    code = (pixels[0].astype(np.uint32) << 16) | (pixels[1].astype(np.uint32) << 8) | pixels[2].astype(np.uint32)
    labels = np.full(code.shape, NODATA, np.uint8)
    known = np.zeros(code.shape, bool) if unknown is None else unknown.copy()
    for value, color in [*enumerate(table.colors or ()), *((NODATA, color) for color in table.ignored)]:
        here = code == int.from_bytes(bytes(color))
        labels[here] = value
        known |= here
    if unknown is not None:
        labels[unknown] = NODATA
    if not known.all():
        raise SceneError(
            f"{where}: the colour mask holds {_counts(code[~known], '#{:06x}')}, which no class has; "
            "add them to the classes or to data.ignore_colors"
        )
    return labels


def _counts(values: NDArray[Any], form: str = "{}") -> str:
    found, counts = np.unique(values, return_counts=True)
    order: Sequence[int] = np.argsort(-counts, kind="stable")[:_LISTED].tolist()
    listed = ", ".join(f"{form.format(found[i])} ({counts[i]} pixel{'' if counts[i] == 1 else 's'})" for i in order)
    return listed + (f" and {len(found) - _LISTED} more" if len(found) > _LISTED else "")
