"""FlatGeobuf (https://flatgeobuf.org, version 3), with its index, in bounded memory.

The index is a packed R-tree over the features in the order of a Hilbert curve, and stands before them. So features
wait in an unnamed file beside the final one, and are copied in their order once their bounds are all known; in
memory stay 48 bytes per feature, and 200 at the end. Therefore they may come in any order, too.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geounet.io.columns import binary_properties
from geounet.io.flatbuffer import Doubles, Scalar, Table, size_prefixed
from geounet.io.flatgeobuf_bytes import feature_sizes, gather, hilbert, put_features, put_ids
from geounet.io.shapes import Features, bounds
from geounet.io.writing import Buffers, ChunkWriter
from geounet.vector.polygons import starts

_MAGIC = b"fgb\x03fgb\x01"
_NODE_SIZE = 16
_NODE = np.dtype([("box", "<f8", 4), ("offset", "<u8")])
_BATCH_WORDS = 2**20
_TYPES = {"b": 2, "i": 7, "u": 7, "f": 10}
_STRING = 11
_MULTI_POLYGON = 6


class _Packed(NamedTuple):
    """The features of a chunk."""

    buffer: NDArray[np.float64]
    words: int
    """Of the buffer, eight bytes each."""
    sizes: NDArray[np.int64]
    """``(n,)`` bytes."""
    boxes: NDArray[np.float64]
    """``(n, 4)`` bounds."""
    ids: NDArray[np.int64]
    types: dict[str, int]
    """Of the columns."""


class FlatGeobufWriter(ChunkWriter):
    """Appends features to an unnamed file; `close` writes ``path`` from it. In the scene's CRS.

    ``numbered``: features come with their numbers as ``id``; otherwise that is what they are sorted by, and becomes
    1, 2, … In any order either way.
    """

    def __init__(self, path: Path, *, name: str, crs: str | None, numbered: bool = True) -> None:
        self._path = path
        self._name = name
        self._crs = crs
        self._numbered = numbered
        self._spool = tempfile.TemporaryFile(dir=str(path.parent))  # noqa: SIM115 - closed by `close` or with us
        self._sizes, self._ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        self._boxes = [np.empty((0, 4))]
        self._types: dict[str, int] = {}
        self._buffers = Buffers(np.float64)

    def pack(self, features: Features) -> _Packed:
        """The bytes of a chunk, on any thread."""
        columns = features.columns()
        types = {name: _TYPES.get(column.dtype.kind, _STRING) for name, column in columns.items()}
        shapes = features.on_map()
        props, prop_starts = binary_properties(columns)
        rings, polygons, parts = (starts(c) for c in (shapes.corner_counts, shapes.ring_counts, shapes.part_counts))
        places = feature_sizes(rings, polygons, parts, prop_starts)
        words = int(places[-1]) // 8
        buffer = self._buffers.take(words)
        doubles = buffer[:words]
        boxes = np.empty((len(shapes), 4))
        put_features(
            shapes.xy,
            rings,
            polygons,
            parts,
            props,
            prop_starts,
            places,
            doubles.view(np.uint8),
            doubles.view(np.uint32),
            doubles,
            boxes,
        )
        return _Packed(buffer, words, np.diff(places), boxes, features.id, types)

    def append(self, packed: _Packed) -> None:
        """Append the next chunk."""
        self._types = packed.types
        self._spool.write(packed.buffer[: packed.words].data)
        self._sizes.append(packed.sizes)
        self._boxes.append(packed.boxes)
        self._ids.append(packed.ids)
        self._buffers.give(packed.buffer)

    def close(self) -> None:
        """Write the file: header, index, features along the Hilbert curve."""
        self._spool.flush()
        ids, sizes, boxes = np.concatenate(self._ids), np.concatenate(self._sizes), np.concatenate(self._boxes)
        extent = bounds(boxes[:, :2], boxes[:, 2:]) if len(boxes) else None
        with self._path.open("wb") as file:
            file.write(_MAGIC)
            file.write(size_prefixed(self._header(extent, len(boxes))))
            if extent is not None:
                order = np.lexsort((ids, -hilbert(boxes, extent).astype(np.int64)))
                file.write(packed_tree(boxes[order], sizes[order]).data)
                numbers = ids if self._numbered else _ranks(ids)
                self._copy(file, starts(sizes)[order], sizes[order], numbers[order])
        self._spool.close()

    def _copy(self, file: Any, begins: NDArray[np.int64], sizes: NDArray[np.int64], ids: NDArray[np.int64]) -> None:
        """Features from the spool into the file, in this order; some are gathered while others are written."""
        batches = list(_batches(np.cumsum(sizes) // 8))
        buffers = deque(np.empty(max(words for _, _, words in batches), np.uint64) for _ in range(2))
        mapped = mmap.mmap(self._spool.fileno(), 0, access=mmap.ACCESS_READ)  # goes with the last array on it
        source = np.frombuffer(mapped, np.uint64)

        def collect(batch: tuple[int, int, int]) -> memoryview:
            a, b, words = batch
            buffers.rotate()
            gather(source, begins[a:b] // 8, sizes[a:b] // 8, buffers[0])
            put_ids(buffers[0].view(np.uint8), buffers[0].view(np.uint32), starts(sizes[a:b]), ids[a:b])
            if hasattr(mmap, "MADV_DONTNEED"):  # else all of the file would count as our memory
                mapped.madvise(mmap.MADV_DONTNEED)
            return buffers[0][:words].data

        with ThreadPoolExecutor(1, thread_name_prefix="geounet-fgb") as pool:
            waiting = pool.submit(collect, batches[0])
            for following in [*batches[1:], None]:
                ready = waiting.result()
                if following is not None:
                    waiting = pool.submit(collect, following)
                file.write(ready)

    def _header(self, extent: NDArray[np.float64] | None, count: int) -> Table:
        fields: dict[int, Any] = {
            0: self._name,
            2: Scalar("B", _MULTI_POLYGON),
            7: [Table({0: name, 1: Scalar("B", kind)}) for name, kind in self._types.items()],
            8: Scalar("Q", count),
            9: Scalar("H", _NODE_SIZE if count else 0),
        }
        if extent is not None:
            fields[1] = Doubles(extent.tolist())
        if self._crs is not None:
            fields[10] = Table(_crs_fields(self._crs))
        return Table(fields)


def _ranks(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` 1 for the least, 2 for the next, …"""
    out = np.empty_like(ids)
    out[np.argsort(ids)] = np.arange(1, 1 + ids.size)
    return out


def _batches(filled: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Stretches of features, first and one after the last, of some megabytes; ``filled`` words up to each one."""
    a = 0
    while a < filled.size:
        done = int(filled[a - 1]) if a else 0
        b = max(a + 1, int(np.searchsorted(filled, done + _BATCH_WORDS, side="right")))
        yield a, b, int(filled[b - 1]) - done
        a = b


def _crs_fields(wkt: str) -> Mapping[int, Any]:
    """Authority and code, where the CRS has them, its name and its WKT."""
    from pyproj import CRS

    crs = CRS.from_wkt(wkt)
    identity = crs.to_json_dict().get("id", {})
    fields: dict[int, Any] = {2: crs.name, 4: crs.to_wkt()}
    if "authority" in identity:
        fields[0] = str(identity["authority"])
        code = str(identity["code"])
        fields |= {1: Scalar("i", int(code))} if code.isdecimal() else {5: code}
    return fields


def packed_tree(boxes: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[Any]:
    """The nodes of the R-tree over features in file order, root first, a leaf for each feature last.

    ``boxes`` ``(n, 4)`` bounds, ``sizes`` ``(n,)`` bytes. An inner node points to its first child, a leaf to the
    first byte of its feature (``packedrtree.h`` in https://github.com/flatgeobuf/flatgeobuf).
    """
    levels = [np.zeros(len(boxes), _NODE)]
    levels[0]["box"], levels[0]["offset"] = boxes, starts(sizes)[:-1]
    while len(levels) == 1 or levels[-1].size > 1:
        below = levels[-1]
        firsts = np.arange(0, below.size, _NODE_SIZE)
        level = np.zeros(firsts.size, _NODE)
        level["box"][:, :2] = np.minimum.reduceat(below["box"][:, :2], firsts, axis=0)
        level["box"][:, 2:] = np.maximum.reduceat(below["box"][:, 2:], firsts, axis=0)
        level["offset"] = firsts
        levels.append(level)
    nodes = np.concatenate(levels[::-1])
    begin = 0
    for level in levels[:0:-1]:
        begin_below = begin + level.size
        nodes["offset"][begin:begin_below] += np.uint64(begin_below)
        begin = begin_below
    return nodes
