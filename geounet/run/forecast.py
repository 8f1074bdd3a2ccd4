"""How long a run will take: a few tiles are computed and timed."""

from __future__ import annotations

import time

import numpy as np

from geounet.model.engine import TileJob, open_engine
from geounet.run.plan import Plan

_ROUNDS = 2


def forecast_seconds(plan: Plan) -> float:
    """Seconds of wall time for the tiles of the plan, from the fastest of a few rounds on this machine.

    A process for each of ``plan.workers`` is taken to be as fast as this one alone. Reading, writing and vectors
    come on top; on a CPU they are a few percent.
    """
    engine = open_engine(plan.package, plan.request)
    try:
        jobs = [_dummy(plan)] * (engine.batch * max(1, plan.request.threads))
        canvas = engine.new_canvas(width=plan.lattice.tile, top=0, on_rows=lambda _top, _bands: None)
        fastest = float("inf")
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            for _ in engine.blend(jobs, canvas):
                pass
            canvas.advance(canvas.top)
            fastest = min(fastest, time.perf_counter() - started)
    finally:
        engine.close()
    return fastest / len(jobs) * plan.costs.tiles_computed / plan.workers


def _dummy(plan: Plan) -> TileJob:
    tile = plan.lattice.tile
    noise = np.random.default_rng(0).integers(0, 255, (len(plan.package.spec.bands), tile, tile))
    weights = np.ones(tile, np.float32)
    return TileJob(
        pixels=noise.astype(np.uint8),
        valid=np.ones((tile, tile), bool),
        row=0,
        col=0,
        row_weights=weights,
        col_weights=weights,
    )
