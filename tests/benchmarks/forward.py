"""A measuring program: nothing but the forward pass of one engine over real tiles, in a process of its own.

``python -m tests.benchmarks.forward '{"engine": …}'``; see :func:`main` for what it takes and answers.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.model.engine import EngineRequest
from geounet.model.package import Package, load_model
from tests.benchmarks.material import tiles

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_HELD = 16
"""Different tiles that are held in memory; they are taken in turn."""


def geounet_engine(package: Package, *, tile: int, batch: int, threads: int) -> tuple[Forward, int]:
    """The forward pass that geounet takes on a CPU: tiles side by side, each on one thread."""
    from geounet.heap import keep_freed_memory
    from geounet.model.onnx_forward import onnx_forward

    keep_freed_memory()
    return onnx_forward(package, EngineRequest(device="cpu", tile=tile, batch=batch, threads=threads)), threads


def onnxruntime_wide(package: Package, *, tile: int, batch: int, threads: int) -> tuple[Forward, int]:
    """onnxruntime as people call it: one tile after the other, all threads in one kernel."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(package.graph), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0], 1


def torch_eager(package: Package, *, tile: int, batch: int, threads: int) -> tuple[Forward, int]:
    """What people run today: the network as it is, float32, all threads in one kernel, malloc as it comes."""
    import torch

    from geounet.model.networks import load_network

    torch.set_num_threads(threads)
    network = load_network(package)

    def forward(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()

    return forward, 1


def torch_folded(package: Package, *, tile: int, batch: int, threads: int) -> tuple[Forward, int]:
    """geounet's own torch engine: folded normalisation, channels last, tiles side by side, memory kept."""
    from geounet.heap import keep_freed_memory
    from geounet.model.torch_forward import torch_forward

    keep_freed_memory()
    request = EngineRequest(device="cpu", tile=tile, batch=batch, threads=threads)
    return torch_forward(package, request, precision="fp32"), threads


def openvino(package: Package, *, tile: int, batch: int, threads: int) -> tuple[Forward, int]:
    """OpenVINO on the same graph in float32, one stream per thread, tiles side by side."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(str(package.graph))
    model.reshape([batch, len(package.spec.bands), tile, tile])
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = core.compile_model(model, "CPU", settings)

    def forward(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return compiled.create_infer_request().infer([images])[0]

    return forward, threads


ENGINES = {f.__name__: f for f in (geounet_engine, onnxruntime_wide, torch_eager, torch_folded, openvino)}


def measure(
    forward: Forward, images: NDArray[np.float32], *, count: int, batch: int, side_by_side: int
) -> tuple[float, float]:
    """Seconds of wall and of CPU time for ``count`` tiles in batches, ``side_by_side`` of them at a time."""
    groups = [images[n : n + batch] for n in range(0, len(images), batch)]  # views: nothing is copied below
    todo = [groups[n % len(groups)] for n in range(-(-count // batch))]
    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(forward, todo[:side_by_side]))  # the first pass allocates
        started, before = time.perf_counter(), time.process_time()
        for _ in pool.map(lambda group: forward(group) is None, todo):
            pass
        return time.perf_counter() - started, time.process_time() - before


def labels(forward: Forward, package: Package, images: NDArray[np.float32], *, batch: int) -> NDArray[np.uint8]:
    """Labels of every head ``(tiles, heads, tile, tile)``."""
    logits = np.concatenate([forward(images[n : n + batch]) for n in range(0, len(images), batch)])
    parts = [
        (logits[:, c][:, 0] >= 0) if head.kind == "mask" else logits[:, c].argmax(axis=1)
        for head, c in package.spec.head_slices()
    ]
    return np.stack(parts, axis=1).astype(np.uint8)


def main(*, engine: str, model: str, scene: str, count: int, threads: int, batch: int = 1, save: str = "") -> None:
    """Print the seconds (wall and CPU) for ``count`` tiles; ``save`` keeps the labels of the tiles held."""
    package = load_model(model)
    tile = package.spec.tile
    images = tiles(Path(scene), package.spec, tile=tile, count=_HELD)
    forward, side_by_side = ENGINES[engine](package, tile=tile, batch=batch, threads=threads)
    wall, cpu = measure(forward, images, count=count, batch=batch, side_by_side=side_by_side)
    answer: dict[str, Any] = {
        "wall": wall,
        "cpu": cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "tiles": -(-count // batch) * batch,
    }
    if save:
        np.save(save, labels(forward, package, images, batch=batch))
    print(json.dumps(answer))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
