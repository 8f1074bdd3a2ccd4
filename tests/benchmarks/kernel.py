"""Components and rings alone, in memory; ``python -m tests.benchmarks.kernel JSON``."""

from __future__ import annotations

import json
import statistics
import sys
import time


def main(*, labels: str, repeats: int) -> None:
    """Trace a raster that is in memory, strip by strip, on one core."""
    import numpy as np
    import rasterio

    from geounet.heap import keep_freed_memory
    from geounet.vector.tracer import Tracer

    keep_freed_memory()
    with rasterio.open(labels) as file:
        data = file.read(1)
        step = file.block_shapes[0][0]
    seconds = []
    for _ in range(repeats + 1):  # the first one loads the kernels
        started = time.perf_counter()
        tracer = Tracer(width=data.shape[1], lut=np.arange(256, dtype=np.int32))
        for top in range(0, data.shape[0], step):
            tracer.feed(data[top : top + step])
        tracer.close()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"mpx_per_second": data.size / 1e6 / statistics.median(seconds[1:])}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
