"""A forward pass by onnxruntime on the calling thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ModelError
from geounet.model.engine import EngineRequest
from geounet.model.host import Forward
from geounet.model.package import Package


def onnx_forward(package: Package, request: EngineRequest) -> Forward:
    """Load the package's graph for one fixed batch shape.

    Every call runs on the thread that makes it; several may run at once. Fixing the free dimensions lets
    onnxruntime fold the graph's shape arithmetic when it loads.
    Raises ModelError where onnxruntime refuses the graph, or its input or output has another shape than the
    package says.
    """
    import onnxruntime as ort

    assert package.graph is not None
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    shape = (request.batch or 1, len(package.spec.bands), request.tile, request.tile)
    for name, value in _free_dimensions(package, shape):
        options.add_free_dimension_override_by_name(name, value)
    try:
        session = ort.InferenceSession(str(package.graph), options, providers=["CPUExecutionProvider"])
        forward = _bind(session)
        output = forward(np.zeros(shape, np.float32))
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise ModelError(
            f"onnxruntime cannot run {package.origin!r} on tiles of {shape}: {str(error).splitlines()[0]}"
        ) from error
    expected = (shape[0], package.spec.channels, request.tile, request.tile)
    if output.shape != expected:
        raise ModelError(f"model {package.origin!r} gives {output.shape} for {shape}; its card promises {expected}")
    return forward


def _bind(session: Any) -> Forward:
    name = session.get_inputs()[0].name
    output = session.get_outputs()[0].name

    def forward(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run([output], {name: images})[0]

    return forward


def _free_dimensions(package: Package, shape: tuple[int, ...]) -> list[tuple[str, int]]:
    """Names of the free dimensions of geounet's own graphs; a foreign graph keeps its own."""
    if package.spec.architecture == "onnx":
        return []
    return [("n", shape[0]), ("h", shape[2]), ("w", shape[3])]
