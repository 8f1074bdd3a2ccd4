"""The true road lines and polygons of a sample as GeoJSON (RFC 7946), streamed cell by cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.grid.geobox import GeoBox
from geounet.sample.sketch import Pieces
from geounet.sample.town import Town

F64 = NDArray[np.float64]
DIGITS = 7
"""Decimals of a degree, as RFC 7946 §11.2 advises: about a centimetre."""


def write_vectors(lines: Path, polygons: Path, *, box: GeoBox, corners: F64, town: Town) -> None:
    """Write both files: what was drawn inside the footprint ``corners`` (4, 2), in scene pixels."""
    half = np.array([box.width // 2, box.height // 2], dtype=np.float64)
    area = shapely.Polygon(corners - half)
    shapely.prepare(area)
    left, top, right, bottom = area.bounds
    to_degrees = _projection(box, half)
    with _collection(lines, "road_lines") as line_file, _collection(polygons, "polygons") as polygon_file:
        for _, pieces in town.pieces((left, top, right, bottom)):
            for feature in _line_features(pieces, area, to_degrees):
                line_file.add(feature)
            for feature in _polygon_features(pieces, area, to_degrees):
                polygon_file.add(feature)


class _Features:
    """An open FeatureCollection."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._between = file, "\n"

    def add(self, feature: dict[str, Any]) -> None:
        self._file.write(self._between + json.dumps(feature, separators=(",", ":")))
        self._between = ",\n"


@contextmanager
def _collection(path: Path, name: str) -> Iterator[_Features]:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"type":"FeatureCollection","name":"{name}","synthetic":true,"features":[')
        yield _Features(file)
        file.write("\n]}\n")


def _projection(box: GeoBox, half: F64) -> Any:
    """World pixels (n, 2) to longitude and latitude (n, 2)."""
    from pyproj import Transformer

    to_wgs84 = Transformer.from_crs(box.crs, "OGC:CRS84", always_xy=True)

    def convert(xy: F64) -> F64:
        col, row = (xy + half).T
        a, b, c, d, e, f = box.transform
        x, y = a * col + b * row + c, d * col + e * row + f
        return np.round(np.stack(to_wgs84.transform(x, y), axis=-1), DIGITS)

    return convert


def _line_features(pieces: Pieces, area: shapely.Polygon, to_degrees: Any) -> Iterator[dict[str, Any]]:
    for line in pieces.lines:
        cut: Any = shapely.intersection(shapely.linestrings(line.xy), area)
        if cut.is_empty or cut.length < 1:
            continue
        about = {"kind": line.kind, "width_m": line.width, "length_m": round(cut.length * 0.5, 2)}
        yield _feature(shapely.transform(cut, to_degrees), about)


def _polygon_features(pieces: Pieces, area: shapely.Polygon, to_degrees: Any) -> Iterator[dict[str, Any]]:
    from geounet.sample.sketch import CLASS

    for n in np.flatnonzero(np.array([bool(name) for name in pieces.names], dtype=bool)):
        shape = pieces.shapes[n]
        if not shapely.intersects(area, shape):
            continue
        whole = shapely.contains_properly(area, shape)
        cut: Any = shape if whole else shapely.intersection(shapely.make_valid(shape), area)
        about = {
            "class": int(pieces.looks[n, CLASS]),
            "name": pieces.names[n],
            "area_m2": round(cut.area * 0.25, 2),
        }
        degrees = shapely.transform(cut, to_degrees)
        for part in shapely.get_parts(degrees):
            if part.geom_type == "Polygon" and not part.is_empty:
                yield _feature(shapely.orient_polygons(part), about)


def _feature(shape: Any, about: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": about, "geometry": shape.__geo_interface__}
