"""Attributes of features as bytes: whatever columns there are, for the formats that are written here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geounet.io.column_bytes import LONGEST_NUMBER, decimal_texts, integer_texts, put_values
from geounet.vector.polygons import starts as starts_of

Bytes = NDArray[np.uint8]
Columns = Mapping[str, NDArray[Any]]

_ALL = np.empty(0, np.int64)


class Values(NamedTuple):
    """The values of a column as bytes."""

    blob: Bytes
    starts: NDArray[np.int64]
    """``(m + 1,)`` where each value begins in ``blob``."""
    which: NDArray[np.int64] = _ALL
    """``(n,)`` the value of each feature; empty: as they come."""

    def sizes(self) -> NDArray[np.int64]:
        """``(n,)`` bytes of each feature's value."""
        sizes = np.diff(self.starts)
        return sizes[self.which] if self.which.size else sizes


def as_bytes(text: bytes) -> Bytes:
    """Bytes as an array."""
    return np.frombuffer(text, np.uint8)


def json_values(column: NDArray[Any]) -> Values:
    """A column as JSON values; ``null`` for what is None or not finite."""
    if column.dtype.kind == "b":
        return _chosen([b"false", b"true"], column.astype(np.int64))
    if column.dtype.kind in "iu":
        out, ends = np.empty(LONGEST_NUMBER * column.size, np.uint8), np.empty(column.size, np.int64)
        used = integer_texts(column, out, ends)
        return Values(blob=out[:used], starts=np.concatenate([[0], ends]))
    if column.dtype.kind == "f":
        return _decimals(column)
    return _texts(column, lambda value: json.dumps(value, ensure_ascii=False).encode())


def _decimals(column: NDArray[Any]) -> Values:
    out, ends = np.empty(LONGEST_NUMBER * column.size, np.uint8), np.empty(column.size, np.int64)
    hard = np.zeros(column.size, np.bool_)
    used = decimal_texts(column, out, ends, hard)
    easy = Values(blob=out[:used], starts=np.concatenate([[0], ends]))
    if not hard.any():
        return easy
    which = np.arange(column.size)
    which[hard] = column.size + np.arange(int(hard.sum()))
    rest = _joined([repr(value).encode() for value in column[hard].tolist()])
    return Values(
        blob=np.concatenate([easy.blob, rest.blob]),
        starts=np.concatenate([easy.starts, used + rest.starts[1:]]),
        which=which,
    )


def binary_values(column: NDArray[Any]) -> Values:
    """A column as FlatGeobuf properties hold it: little-endian numbers, text after its length; nothing for null."""
    if column.dtype.kind not in "biuf":
        return _texts(column, _sized)
    kind = {"b": "u1", "f": "<f8"}.get(column.dtype.kind, "<i8")
    blob = np.ascontiguousarray(column.astype(kind)).view(np.uint8)
    starts = np.arange(column.size + 1) * (1 if kind == "u1" else 8)
    if column.dtype.kind != "f" or not np.isnan(column).any():
        return Values(blob=blob, starts=starts)
    keep = ~np.isnan(column)
    return Values(blob=blob.reshape(-1, 8)[keep].ravel(), starts=8 * starts_of(keep.astype(np.int64)))


def _sized(value: str | None) -> bytes:
    text = b"" if value is None else value.encode()
    return b"" if value is None else len(text).to_bytes(4, "little") + text


def _texts(column: NDArray[Any], form: Any) -> Values:
    """Few different values: each is formed once."""
    values = column.tolist()
    objects = np.fromiter(
        map(id, values), np.int64, column.size
    )  # what is equal but another object is formed again
    _, places, which = np.unique(objects, return_index=True, return_inverse=True)
    return _chosen([form(values[place]) for place in places.tolist()], which)


def _chosen(texts: Sequence[bytes], which: NDArray[np.int64]) -> Values:
    table = _joined(texts if which.size else [])  # without a feature no value either: `which` says nothing then
    return Values(blob=table.blob, starts=table.starts, which=which)


def _joined(texts: Sequence[bytes]) -> Values:
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    return Values(blob=as_bytes(b"".join(texts)), starts=starts_of(sizes))


def woven(
    parts: Sequence[tuple[bytes, Values]], n: int, *, after: bytes = b"", omit: bool = False
) -> tuple[Bytes, NDArray[np.int64]]:
    """The bytes of ``n`` features, ``before + value`` of every part in turn, and ``(n + 1,)`` where each begins.

    ``after`` ends every feature; with ``omit`` a value of no bytes is left out together with what is before it.
    """
    sizes = np.full(n, len(after), np.int64)
    for before, values in parts:
        own = values.sizes()
        sizes += own + np.where((own > 0) | (not omit), len(before), 0)
    starts = starts_of(sizes)
    out, cursor = np.empty(int(starts[-1]), np.uint8), starts[:-1].copy()
    for before, values in [*parts, (b"", Values(blob=as_bytes(after), starts=_span(after), which=_zeros(n)))]:
        put_values(out, cursor, as_bytes(before), values.blob, values.starts, values.which, omit)
    return out, starts


def _span(text: bytes) -> NDArray[np.int64]:
    return np.array([0, len(text)])


def _zeros(n: int) -> NDArray[np.int64]:
    return np.zeros(n, np.int64)


def json_properties(columns: Columns) -> tuple[Bytes, NDArray[np.int64]]:
    """The text of each feature up to its geometry, and ``(n + 1,)`` where each begins."""
    parts = []
    for number, (name, column) in enumerate(columns.items()):
        key = "," if number else '{"type":"Feature","properties":{'
        parts.append((f"{key}{json.dumps(name, ensure_ascii=False)}:".encode(), json_values(column)))
    n = next(iter(columns.values())).size
    return woven(parts, n, after=b'},"geometry":')


def binary_properties(columns: Columns) -> tuple[Bytes, NDArray[np.int64]]:
    """FlatGeobuf's properties of each feature (column number and value, one after another), and their starts."""
    parts = [(number.to_bytes(2, "little"), binary_values(c)) for number, c in enumerate(columns.values())]
    n = next(iter(columns.values())).size
    return woven(parts, n, omit=True)
