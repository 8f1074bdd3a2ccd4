"""Colours and styles of the polygons of a label raster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from geounet.io.labels import LabelRaster
from geounet.io.styles import polygon_style, shown_classes
from geounet.model.spec import Head, LabelClass


def colours(raster: LabelRaster, head: Head | None) -> Mapping[int, str]:
    """By pixel value, of a head, else as the raster says."""
    return raster.class_colours() if head is None else {c.value: c.color for c in head.classes}


def style_of(
    raster: LabelRaster, head: Head | None, found: Iterable[int], only: Sequence[int] | None = None
) -> str | None:
    """QML of a head's classes, else of the pixel values that were ``found`` and have a colour in the raster."""
    if head is not None:
        classes = shown_classes(head)
    else:
        names, known = raster.class_names(), raster.class_colours()
        classes = [
            LabelClass(value=value, name=names.get(value) or str(value), color=known[value])
            for value in sorted(found)
            if value in known
        ]
    classes = [c for c in classes if only is None or c.value in only]
    return polygon_style(classes) if classes else None
