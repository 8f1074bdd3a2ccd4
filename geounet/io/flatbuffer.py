"""Flatbuffers of a few hundred bytes: tables, strings and vectors, parents before their children.

The encoding is that of https://flatbuffers.dev/internals; a table of `Table` knows its fields by slot number.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Scalar:
    """A number in a table; ``form`` as in `struct`."""

    form: str
    value: float


@dataclass(frozen=True)
class Doubles:
    """A vector of doubles."""

    values: Sequence[float]


@dataclass(frozen=True)
class Table:
    """Fields by slot."""

    fields: Mapping[int, Any]


Node: TypeAlias = "Table | Doubles | str | Sequence[Table]"


def size_prefixed(root: Table) -> bytes:
    """The buffer of a root table, after its size."""
    out = bytearray(8)
    struct.pack_into("<I", out, 4, _table(out, root) - 4)
    out += bytes(-len(out) % 8)
    struct.pack_into("<I", out, 0, len(out) - 4)
    return bytes(out)


def _table(out: bytearray, table: Table) -> int:
    """Append a table, what it looks like before it, what it holds after it; its place."""
    scalars = {slot: f for slot, f in table.fields.items() if isinstance(f, Scalar)}
    children = {slot: f for slot, f in table.fields.items() if not isinstance(f, Scalar)}
    look = [0] * (max(table.fields) + 1)
    body = bytearray(4)
    for slot, field in sorted(scalars.items(), key=lambda item: -struct.calcsize(item[1].form)):
        body += bytes(-(len(body) - 4) % struct.calcsize(field.form))
        look[slot] = len(body)
        body += struct.pack("<" + field.form, field.value)
    body += bytes(-len(body) % 4)
    for slot in children:
        look[slot] = len(body)
        body += bytes(4)
    size = 4 + 2 * len(look)
    out += bytes((4 - len(out) - size) % 8)  # so that numbers of eight bytes come to lie on multiples of eight
    at = len(out) + size
    out += struct.pack(f"<{2 + len(look)}H", size, len(body), *look)
    struct.pack_into("<i", body, 0, size)
    out += body
    for slot, child in children.items():
        place = at + look[slot]
        struct.pack_into("<I", out, place, _node(out, child) - place)
    return at


def _node(out: bytearray, node: Node) -> int:
    if isinstance(node, Table):
        return _table(out, node)
    if isinstance(node, Doubles):
        out += bytes((4 - len(out)) % 8)
        at = len(out)
        out += struct.pack(f"<I{len(node.values)}d", len(node.values), *node.values)
        return at
    out += bytes(-len(out) % 4)
    at = len(out)
    if isinstance(node, str):
        text = node.encode()
        out += struct.pack("<I", len(text)) + text + b"\0"
        return at
    out += struct.pack("<I", len(node)) + bytes(4 * len(node))
    for number, child in enumerate(node):
        place = at + 4 + 4 * number
        struct.pack_into("<I", out, place, _table(out, child) - place)
    return at
