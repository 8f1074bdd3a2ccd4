"""A torch network as an ONNX graph that borrows its weights from ``weights.safetensors``."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.onnx.symbolic_helper import parse_args

from geounet.errors import MissingExtraError
from geounet.model.package import WEIGHTS, tensor_offsets
from geounet.model.spec import ModelSpec

OPSET = 17
"""Newest opset that torch's tracing exporter writes by itself; onnxruntime ≥ 1.13 reads it."""


def export_graph(network: torch.nn.Module, spec: ModelSpec, serialized: bytes) -> bytes:
    """``graph.onnx`` for a package whose ``weights.safetensors`` holds ``serialized``.

    Input ``image``: ``(n, bands, h, w)`` float32, scaled. Output ``logits``: ``(n, channels, h, w)``. Batch and
    sides are free (but see :attr:`ModelSpec.graph_is_bound_to_tile`). Tensors that lie in ``serialized`` become
    external data at their byte offset in that file; float16 ones are cast to float32 in the graph, which
    onnxruntime folds when it loads. Batch normalisation is left in the graph: onnxruntime folds it into the
    convolutions.

    Raises MissingExtraError without the package ``onnx``.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "export", "exporting a network to ONNX") from error
    graph = onnx.load_from_string(_trace(network, spec))
    _borrow_weights(graph, serialized)
    return graph.SerializeToString()


def _trace(network: torch.nn.Module, spec: ModelSpec) -> bytes:
    """The graph with its weights, names kept: neither folded nor fused, so that they can be found again."""
    side = spec.tile if spec.graph_is_bound_to_tile else max(spec.divisor, min(spec.tile, 8 * spec.divisor))
    sides = {} if spec.graph_is_bound_to_tile else {2: "h", 3: "w"}
    example = torch.zeros(1, len(spec.bands), side, side)
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        _pooling_as_products(),
        torch.inference_mode(),
    ):
        file = Path(folder) / "graph.onnx"
        warnings.simplefilter("ignore")  # the tracing exporter announces its successor, which needs more
        torch.onnx.export(
            _without_dropout(network),
            (example,),
            file,
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "n", **sides}, "logits": {0: "n", **sides}},
        )
        return file.read_bytes()


@contextmanager
def _pooling_as_products() -> Iterator[None]:
    """Lets the exporter write pooling into bins that do not divide the side: two constant products."""
    name = "aten::adaptive_avg_pool2d"
    torch.onnx.register_custom_op_symbolic(name, _pooling, OPSET)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(name, OPSET)  # type: ignore[attr-defined]


@parse_args("v", "is")
def _pooling(graph: Any, pixels: Any, bins: list[int]) -> Any:
    """``(n, channels, h, w)`` → ``(n, channels, *bins)``; h and w become constants unless bins are 1."""
    if list(bins) == [1, 1]:
        return graph.op("GlobalAveragePool", pixels)
    height, width = pixels.type().varyingSizes()[2:]
    rows = graph.op("Constant", value_t=_means(height, bins[0]))
    cols = graph.op("Constant", value_t=_means(width, bins[1]).T.contiguous())
    return graph.op("MatMul", graph.op("MatMul", rows, pixels), cols)


def _means(side: int, bins: int) -> torch.Tensor:
    """``(bins, side)``: row i is the mean over ⌊i · side / bins⌋ to ⌈(i + 1) · side / bins⌉, as torch has it."""
    out = torch.zeros(bins, side)
    for i in range(bins):
        first, last = i * side // bins, -(-(i + 1) * side // bins)
        out[i, first:last] = 1 / (last - first)
    return out


def _without_dropout(network: torch.nn.Module) -> torch.nn.Module:
    """A copy of the network for use: the exporter does not know every kind of dropout, which does nothing then."""
    network = copy.deepcopy(network).eval()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.Dropout2d):
                setattr(parent, name, torch.nn.Identity())
    return network


def _borrow_weights(model: Any, serialized: bytes) -> None:
    """Replace every initializer that lies in the safetensors file by a reference into it."""
    import onnx

    offsets = tensor_offsets(serialized)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name not in offsets:
            continue
        dtype, shape, first, length = offsets[tensor.name]
        if list(tensor.dims) != list(shape):
            raise ValueError(f"{tensor.name}: {list(tensor.dims)} in the graph, {list(shape)} in the weights")
        if dtype == "F16":
            half = f"{tensor.name}.half"
            casts.append(onnx.helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT))
            tensor.name, tensor.data_type = half, onnx.TensorProto.FLOAT16
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", str(first)), ("length", str(length))):
            tensor.external_data.add(key=key, value=value)
    for position, node in enumerate(casts):
        model.graph.node.insert(position, node)
