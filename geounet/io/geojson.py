"""GeoJSON as RFC 7946 wants it, written as a stream, one feature per line.

Coordinates are rounded to seven decimals (about a centimetre) and formatted from integers, so that the same
place gives the same text on every machine.
"""

from __future__ import annotations

import json
from typing import IO, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.io import geojson_text, human
from geounet.io.columns import as_bytes, json_properties
from geounet.io.dateline import cut_shapes, odd_shapes
from geounet.io.ground import Ground
from geounet.io.shapes import Features, Shapes, from_shapely, merge
from geounet.io.writing import Buffers, ChunkWriter
from geounet.vector.polygons import starts

DECIMALS = geojson_text.DECIMALS
_RECORD_SEPARATOR = b"\x1e"
_TINY = 0.05
"""Metres; rounding to a centimetre may fold outlines of smaller pixels."""
_WIDE = 1e6
"""Metres; on a larger map a long edge, straight there, may run over its neighbour when straight in degrees."""


class _Packed(NamedTuple):
    """The text of a chunk and what is not in it."""

    buffer: NDArray[np.uint8]
    used: int
    """Bytes of the buffer."""
    dropped: int
    collapsed: int


class GeoJsonWriter(ChunkWriter):
    """Appends features to an open file; `close` ends the document.

    ``lines``: GeoJSON text sequence (RFC 8142) instead of a collection; with ``separators`` each feature
    begins with the record separator, as that RFC demands and many readers dislike.
    """

    def __init__(
        self, file: IO[bytes], *, name: str, ground: Ground, lines: bool = False, separators: bool = False
    ) -> None:
        self._file = file
        self._ground = ground
        self._lines = lines
        self._first = True
        self._buffers = Buffers(np.uint8)
        self._before = as_bytes((_RECORD_SEPARATOR if separators else b"") if lines else b",\n")
        self._after = as_bytes(b"}\n" if lines else b"}")
        self.dropped = 0
        """Features left out because they have no place on the globe."""
        self.collapsed = 0
        """Features left out because they vanish when rounded."""
        if not lines:
            title = json.dumps(name, ensure_ascii=False)
            file.write(f'{{"type":"FeatureCollection","name":{title},"features":[\n'.encode())

    @property
    def warnings(self) -> list[str]:
        """What was left out, a line for each reason."""
        out = []
        if self.dropped:
            lost = human.count(self.dropped, "polygon")
            out.append(f"{lost} beyond what the CRS can show of the globe; left out")
        if self.collapsed:
            lost = human.count(self.collapsed, "polygon")
            out.append(f"{lost} smaller than the seventh decimal of a degree; left out")
        return out

    def pack(self, features: Features) -> _Packed:
        """The text of a chunk, on any thread."""
        shapes, cut = self._globe(features)
        lost = shapes.part_counts == 0
        if features.reshaped or self._is_delicate():
            cut[:] = True
        shapes = _mended(shapes, cut & ~lost)
        buffer, used, sizes = self._format(shapes, features)
        return _Packed(buffer, used, int(lost.sum()), int(((sizes == 0) & ~lost).sum()))

    def append(self, packed: _Packed) -> None:
        """Append the next chunk."""
        self.dropped += packed.dropped
        self.collapsed += packed.collapsed
        text = packed.buffer[: packed.used]
        if self._first and text.size:
            text = text[0 if self._lines else self._before.size :]
            self._first = False
        self._file.write(text.data)
        self._buffers.give(packed.buffer)

    def close(self) -> None:
        """End the document."""
        if not self._lines:
            self._file.write(b"\n]}\n")

    def _globe(self, features: Features) -> tuple[Shapes, NDArray[np.bool_]]:
        """The shapes in degrees; those that cross the antimeridian or hold a pole cut, and which these are."""
        ground = self._ground
        if ground.geodetic is None or ground.crs is None:
            return features.on_map(), np.zeros(features.id.size, bool)
        lonlat = features.lonlat
        flat = features.shapes.at(ground.lonlat(features.on_map().xy) if lonlat is None else lonlat)
        odd = odd_shapes(flat, geographic=bool(ground.crs.is_geographic))
        if not odd.any():
            return flat, odd
        return merge(flat, cut_shapes(features.on_map(odd), ground), odd), odd

    def _is_delicate(self) -> bool:
        """Whether outlines may cross themselves in degrees: pixels near the rounding, or edges that bend."""
        box = self._ground.geobox
        gsd = None if self._ground.geodetic is None else box.gsd()
        return gsd is not None and (gsd < _TINY or gsd * max(box.width, box.height) > _WIDE)

    def _format(self, shapes: Shapes, features: Features) -> tuple[NDArray[np.uint8], int, NDArray[np.int64]]:
        blob, head_starts = json_properties(features.columns())
        room = (
            blob.size
            + len(shapes) * (self._before.size + self._after.size)
            + geojson_text.BYTES_PER_CORNER * (shapes.xy.shape[0] + shapes.corner_counts.size)
            + geojson_text.BYTES_PER_PART * (shapes.ring_counts.size + len(shapes))
        )
        out = self._buffers.take(room)
        used, sizes = geojson_text.format_features(
            shapes.xy,
            starts(shapes.corner_counts),
            starts(shapes.ring_counts),
            starts(shapes.part_counts),
            blob,
            head_starts,
            self._before,
            self._after,
            geojson_text._POLYGON,
            geojson_text._MULTI,
            out,
        )
        return out, used, sizes


def _mended(shapes: Shapes, suspects: NDArray[np.bool_]) -> Shapes:
    """The shapes, those of ``suspects`` ``(n,)`` valid also once they are rounded."""
    if not suspects.any():
        return shapes
    rounded = shapes.at(np.rint(shapes.xy * 10.0**DECIMALS) / 10.0**DECIMALS)
    bad = np.flatnonzero(suspects)
    geometries = rounded.take(bad).to_shapely()
    broken = ~shapely.is_valid(geometries)
    if not broken.any():
        return rounded
    grid = 10.0**-DECIMALS
    # set_precision gives a valid area whose corners lie on the grid; make_valid alone makes new corners off it
    mended = shapely.set_precision(shapely.make_valid(geometries[broken]), grid)
    flags = np.zeros(len(shapes), bool)
    flags[bad[broken]] = True
    return merge(rounded, from_shapely(mended), flags)
