"""Features to FlatGeobuf's bytes, and places on the Hilbert curve, compiled.

Every feature is a size-prefixed flatbuffer (https://flatgeobuf.org, ``feature.fbs``). All of ours look alike, so
their tables stand at fixed places::

     0  size of what follows            48  geometry: table, parts, type (MultiPolygon)
     4  root: the feature's table       60  what a polygon's table looks like
     8  what the feature's table…       80  number of parts, where each one begins
    16  feature: geometry, properties       parts: table, ends of rings, coordinates
    28  …and the geometry's look like       properties

Numbers of eight bytes lie on multiples of eight, counted from the size, as the flatbuffers library puts them.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel

_MULTI_POLYGON, _POLYGON = 6, 3


def _head() -> NDArray[np.uint32]:
    """The first 80 bytes of every feature, as words; size and place of the properties are 0 yet."""
    look_of_feature = [8, 12, 4, 8]
    look_of_geometry = [20, 12, 0, 0, 0, 0, 0, 0, 8, 4]
    look_of_polygon = [18, 16, 4, 8, 0, 0, 0, 0, 12, 0]
    parts = [
        np.array([0, 12], "<u4"),
        np.array(look_of_feature, "<u2"),
        np.array([16 - 8, 48 - 20, 0], "<u4"),
        np.array(look_of_geometry, "<u2"),
        np.array([48 - 28, 80 - 52, _MULTI_POLYGON], "<u4"),
        np.array(look_of_polygon, "<u2"),
    ]
    return np.frombuffer(b"".join(p.tobytes() for p in parts), np.uint32)


_HEAD = _head()
_WORDS = _HEAD.size


@kernel
def feature_sizes(ring_starts: Any, polygon_starts: Any, shape_starts: Any, prop_starts: Any) -> Any:
    """``(n + 1,)`` where the bytes of each feature begin, from 0; multiples of eight."""
    n = shape_starts.size - 1
    out = np.zeros(n + 1, np.int64)
    for f in range(n):
        k = np.int64(4 * _WORDS + 4 + 4 * (shape_starts[f + 1] - shape_starts[f]))
        for p in range(shape_starts[f], shape_starts[f + 1]):
            r0, r1 = polygon_starts[p], polygon_starts[p + 1]
            k += 16 + 4 + 4 * (r1 - r0)
            k = (k + 4 + 7) // 8 * 8 + 16 * (ring_starts[r1] - ring_starts[r0] + r1 - r0)
        out[f + 1] = out[f] + (k + 4 + prop_starts[f + 1] - prop_starts[f] + 7) // 8 * 8
    return out


@kernel
def _polygon(w: Any, d: Any, base: int, k: int, xy: Any, ring_starts: Any, r0: int, r1: int) -> int:
    """A part at byte ``k`` of the feature that begins at ``base``; the byte after it."""
    rings = r1 - r0
    at = (base + k) // 4
    w[at] = k - 60
    w[at + 1] = 16 - 4
    ends = k + 16
    count = (ends + 4 + 4 * rings + 4 + 7) // 8 * 8 - 4
    w[at + 2] = count - (k + 8)
    w[at + 3] = _POLYGON
    w[at + 4] = rings
    if (count - ends) // 4 > rings + 1:
        w[(base + count) // 4 - 1] = 0
    w[(base + count) // 4] = 2 * (ring_starts[r1] - ring_starts[r0] + rings)
    e = (base + count + 4) // 8
    begin = e
    for r in range(r0, r1):
        a, b = ring_starts[r], ring_starts[r + 1]
        for i in range(a, b):
            d[e] = xy[i, 0]
            d[e + 1] = xy[i, 1]
            e += 2
        d[e] = xy[a, 0]
        d[e + 1] = xy[a, 1]
        e += 2
        w[at + 5 + r - r0] = (e - begin) // 2
    return 8 * e - base


@kernel
def put_features(
    xy: Any,
    ring_starts: Any,
    polygon_starts: Any,
    shape_starts: Any,
    props: Any,
    prop_starts: Any,
    starts: Any,
    out: Any,
    words: Any,
    doubles: Any,
    boxes: Any,
) -> None:
    """Fill ``out`` (``words`` and ``doubles`` are views of it) with features that begin at ``starts``.

    ``boxes`` ``(n, 4)`` become the features' bounds: least x and y, greatest x and y.
    """
    for f in range(shape_starts.size - 1):
        base = starts[f]
        at = base // 4
        for i in range(_WORDS):
            words[at + i] = _HEAD[i]
        p0, p1 = shape_starts[f], shape_starts[f + 1]
        words[at + _WORDS] = p1 - p0
        k = np.int64(4 * _WORDS + 4 + 4 * (p1 - p0))
        box = boxes[f]
        box[0], box[1], box[2], box[3] = np.inf, np.inf, -np.inf, -np.inf
        for p in range(p0, p1):
            place = 4 * _WORDS + 4 + 4 * (p - p0)
            words[(base + place) // 4] = k - place
            r0, r1 = polygon_starts[p], polygon_starts[p + 1]
            for i in range(ring_starts[r0], ring_starts[r0 + 1]):
                box[0], box[1] = min(box[0], xy[i, 0]), min(box[1], xy[i, 1])
                box[2], box[3] = max(box[2], xy[i, 0]), max(box[3], xy[i, 1])
            k = _polygon(words, doubles, base, k, xy, ring_starts, r0, r1)
        words[at + 6] = k - 24
        a, b = prop_starts[f], prop_starts[f + 1]
        words[(base + k) // 4] = b - a
        k += base + 4
        for i in range(a, b):
            out[k + i - a] = props[i]
        for i in range(k + b - a, starts[f + 1]):
            out[i] = 0
        words[at] = starts[f + 1] - base - 4


@kernel
def put_ids(out: Any, words: Any, starts: Any, ids: Any) -> None:
    """Put ``ids`` into features that begin at ``starts``, as the first property, which has eight bytes."""
    for f in range(ids.size):
        k = starts[f] + 24 + words[starts[f] // 4 + 6] + 4 + 2  # after the size of the properties and the column
        value = ids[f]
        for i in range(8):
            out[k + i] = value & 255
            value >>= 8


@kernel
def hilbert(boxes: Any, extent: Any) -> Any:
    """``(n,)`` places of the boxes' middles on the Hilbert curve through 2¹⁶ × 2¹⁶ cells of ``extent``.

    The bit arithmetic is that of github.com/rawrunprotected/hilbert_curves, which FlatGeobuf's packed R-tree uses.
    """
    out = np.empty(boxes.shape[0], np.uint32)
    width, height = extent[2] - extent[0], extent[3] - extent[1]
    full = np.int64(0xFFFF)
    for i in range(boxes.shape[0]):
        x, y = np.int64(0), np.int64(0)
        if width > 0:
            x = np.int64(65535.0 * ((boxes[i, 0] + boxes[i, 2]) / 2 - extent[0]) / width)
        if height > 0:
            y = np.int64(65535.0 * ((boxes[i, 1] + boxes[i, 3]) / 2 - extent[1]) / height)
        a, b, c, d = x ^ y, full ^ (x ^ y), full ^ (x | y), x & (y ^ full)
        s, t = a | (b >> 1), (a >> 1) ^ a
        u, v = ((c >> 1) ^ (b & (d >> 1))) ^ c, ((a & (c >> 1)) ^ (d >> 1)) ^ d
        for shift in (2, 4):
            a, b, c, d = s, t, u, v
            s, t = (a & (a >> shift)) ^ (b & (b >> shift)), (a & (b >> shift)) ^ (b & ((a ^ b) >> shift))
            u ^= (a & (c >> shift)) ^ (b & (d >> shift))
            v ^= (b & (c >> shift)) ^ ((a ^ b) & (d >> shift))
        a, b, c, d = s, t, u, v
        u ^= (a & (c >> 8)) ^ (b & (d >> 8))
        v ^= (b & (c >> 8)) ^ ((a ^ b) & (d >> 8))
        a, b = u ^ (u >> 1), v ^ (v >> 1)
        low = x ^ y
        out[i] = _spread(b | (full ^ (low | a))) << 1 | _spread(low)
    return out


@kernel
def _spread(x: int) -> int:
    """The sixteen bits of ``x``, each followed by a 0."""
    x = (x | (x << 8)) & 0x00FF00FF
    x = (x | (x << 4)) & 0x0F0F0F0F
    x = (x | (x << 2)) & 0x33333333
    return (x | (x << 1)) & 0x55555555


@kernel
def gather(source: Any, begins: Any, sizes: Any, out: Any) -> None:
    """Pieces of ``source`` (words of eight bytes) one after another into ``out``; places and sizes in words."""
    k = 0
    for i in range(begins.size):
        a = begins[i]
        for j in range(sizes[i]):
            out[k + j] = source[a + j]
        k += sizes[i]
