"""A network that costs nothing: ``dask worker --preload tests.benchmarks.scale_stub``."""

from __future__ import annotations

import numpy as np

from geounet.model import onnx_forward
from geounet.model.engine import EngineRequest
from geounet.model.host import Forward
from geounet.model.package import Package


def no_network(package: Package, request: EngineRequest) -> Forward:
    """Logits of nothing, ``(batch, channels, tile, tile)``, at once."""
    shape = (request.batch or 1, package.spec.channels, request.tile, request.tile)
    return lambda _images: np.zeros(shape, np.float32)


onnx_forward.onnx_forward = no_network
