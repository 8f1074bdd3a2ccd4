"""Which files an ONNX graph keeps its tensors in, read without the onnx package.

onnxruntime opens what the graph names, so those files are part of the model, and a name that leads elsewhere is
refused. Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, in the wire format of
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from geounet.errors import ModelError

_MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto",
        22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {13: "StringStringEntryProto"},
}  # fmt: skip
"""Fields, by number, that lead to tensors; those of a tensor that lead to its external data."""
_VARINT, _EIGHT, _TEXT, _FOUR = 0, 1, 2, 5  # wire types


def external_files(graph: Path) -> list[Path]:
    """Files that hold tensors of an ONNX graph, in order of name; none where it holds them itself.

    Raises ModelError where the file is no ONNX graph, or where a name leads out of its folder or to no file.
    """
    try:
        names = {name.decode() for name in _locations(memoryview(graph.read_bytes()))}
    except (ValueError, IndexError) as error:
        raise ModelError(f"{graph} is no ONNX graph, or is damaged; export it again") from error
    return [_inside(graph, name) for name in sorted(names)]


def _locations(content: memoryview) -> Iterator[bytes]:
    """Every ``location`` of external data, wherever in the graph its tensor is."""
    waiting = [("ModelProto", content)]
    while waiting:
        kind, message = waiting.pop()
        if kind == "StringStringEntryProto":
            entry = list(_fields(message))
            if (1, b"location") in [(number, bytes(value)) for number, value in entry]:
                yield from (bytes(value) for number, value in entry if number == 2)
            continue
        inner = _MESSAGES[kind]
        waiting += [(inner[number], value) for number, value in _fields(message) if number in inner]


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of the fields that have a length. ValueError or IndexError where it is no message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind in (_EIGHT, _FOUR):
            at += 8 if kind == _EIGHT else 4
        elif kind == _TEXT:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {kind}")
    if at != len(message):
        raise ValueError("the message ends within a field")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _inside(graph: Path, name: str) -> Path:
    folder = graph.resolve().parent
    if "\0" in name or Path(name).is_absolute() or not (folder / name).resolve().is_relative_to(folder):
        raise ModelError(f"{graph} reads its tensors from {name!r}, outside its folder; expected a file beside it")
    if not (folder / name).is_file():
        raise ModelError(f"{graph} keeps its tensors in {name!r}, which is not there; copy it beside the graph")
    return folder / name
