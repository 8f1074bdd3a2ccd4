"""The whole of ``geounet infer`` against nothing but the forward passes that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import Finished, child, in_turn, infer, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

STAGES = ("open", "blocks", "stitch", "vectors", "describe")


def measure(settings: Settings) -> Table:
    """Whole processes in turn: the forward passes alone, then everything."""
    scene, output = settings.scene, settings.outputs / "route"
    count = run(infer(scene, settings.model, output)).said["tiles"]  # also fills the disk's cache
    sides = in_turn(
        {
            "forward": lambda: _forward(settings, scene, count),
            "infer": lambda: run(infer(scene, settings.model, output, "--threads", str(settings.threads))),
        },
        repeats=settings.repeats,
    )
    return Table(
        title="route: the whole run against its forward passes",
        about=(
            f"`geounet infer` as a process of its own over a sample scene of {settings.size} × {settings.size} × 3 "
            f"({count} tiles), divided by the time of {count} forward passes in the same engine without any "
            f"input or output, {settings.threads} tiles side by side; medians of {settings.repeats} rounds in turn."
        ),
        results=tuple(_results(sides["forward"], sides["infer"])),
    )


def _forward(settings: Settings, scene: Path, count: int) -> dict[str, Any]:
    arguments = {"engine": "geounet_engine", "model": settings.model, "scene": scene}
    return run(child("forward", **arguments, count=count, threads=settings.threads)).said


def _results(forward: Sequence[dict[str, Any]], runs: Sequence[Finished]) -> list[Result]:
    wall, cpu = (median(side[what] for side in forward) for what in ("wall", "cpu"))
    timings = {stage: median(r.said["timings"].get(stage, 0.0) for r in runs) for stage in STAGES}
    outside = median(r.wall - sum(r.said["timings"].values()) for r in runs)
    to_cog = median(r.wall - r.said["timings"]["vectors"] - r.said["timings"]["describe"] for r in runs)
    to_vectors = median(r.wall - r.said["timings"]["describe"] for r in runs)
    whole, whole_cpu = median(r.wall for r in runs), median(r.cpu for r in runs)
    return [
        Result(what="to finished COGs ÷ forward", value=to_cog / wall, unit="x", target=1.08, note="wall"),
        Result(what="with GeoJSON ÷ forward", value=to_vectors / wall, unit="x", target=1.15, note="wall"),
        Result(what="with preview and report ÷ forward", value=whole / wall, unit="x", note="wall"),
        Result(what="the whole run ÷ forward", value=whole_cpu / cpu, unit="x", note="CPU time, all cores"),
        Result(what="forward alone", value=wall, unit="s", note=f"{cpu:.1f} s of CPU time"),
        Result(what="the whole run", value=whole, unit="s", note=f"{whole_cpu:.1f} s of CPU time"),
        *(Result(what=f"stage {stage}", value=value, unit="s") for stage, value in timings.items()),
        Result(what="start and end of the process", value=outside, unit="s", note="imports, arguments, exit"),
        Result(what="peak memory", value=max(r.peak for r in runs) / 2**20, unit="MiB"),
    ]
