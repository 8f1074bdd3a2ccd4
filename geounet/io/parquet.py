"""GeoParquet 1.0 (https://geoparquet.org) by row groups, through pyarrow, in the scene's CRS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import WorkError
from geounet.io.shapes import Features, bounds
from geounet.io.wkb import multipolygons
from geounet.io.writing import ChunkWriter

_MOST_BYTES = 2**31 - 2**20
"""Of the geometries in one array, whose places are 32-bit numbers."""


_NOWHERE = np.array([np.inf, np.inf, -np.inf, -np.inf])


class ParquetWriter(ChunkWriter):
    """Every chunk of features becomes a row group; memory does not grow with their number."""

    def __init__(self, path: Path, *, crs: str | None) -> None:
        self._path = path
        self._crs = crs
        self._writer: Any = None
        self._box = _NOWHERE.copy()

    def pack(self, features: Features) -> Any:
        """The table of a chunk, and its least and greatest coordinates; on any thread."""
        import pyarrow as pa

        columns = {name: _array(column) for name, column in features.columns().items()}
        xy = features.on_map().xy
        box = bounds(xy) if xy.size else _NOWHERE
        return pa.table({**columns, "geometry": _geometries(features)}), box

    def append(self, packed: Any) -> None:
        """Append the next chunk."""
        from pyarrow.parquet import ParquetWriter as Writer

        table, box = packed
        if self._writer is not None and not table.num_rows:
            return
        if self._writer is None:
            self._writer = Writer(self._path, table.schema)
        self._writer.write_table(table)
        self._box[:2] = np.minimum(self._box[:2], box[:2])
        self._box[2:] = np.maximum(self._box[2:], box[2:])

    def close(self) -> None:
        """End the file; only now are the bounds known."""
        if self._writer is not None:
            self._writer.add_key_value_metadata({"geo": json.dumps(self._about())})
            self._writer.close()

    def _about(self) -> dict[str, Any]:
        geometry: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["MultiPolygon"], "crs": None}
        if self._crs is not None:
            from pyproj import CRS

            geometry["crs"] = CRS.from_wkt(self._crs).to_json_dict()
        if np.isfinite(self._box).all():
            geometry["bbox"] = self._box.tolist()
        return {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": geometry}}


def _array(column: NDArray[Any]) -> Any:
    """A column as pyarrow has it; NaN is null."""
    import pyarrow as pa

    if column.dtype.kind == "O":
        return pa.array(column, pa.string())
    return pa.array(column, from_pandas=True)


def _geometries(features: Features) -> Any:
    import pyarrow as pa

    blob, begins = multipolygons(features.on_map())
    if blob.size > _MOST_BYTES:  # one polygon of a hundred million corners
        raise WorkError(
            f"polygon {features.id[0]} has {len(features.shapes.xy):,} corners, which GeoParquet cannot hold; "
            "choose another --format"
        )
    places = pa.py_buffer(begins.astype(np.int32))
    return pa.Array.from_buffers(pa.binary(), begins.size - 1, [None, places, pa.py_buffer(blob)])
