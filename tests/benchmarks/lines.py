"""Centre-lines of a road mask against scikit-image's skeleton of the whole mask and the graph of sknw."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from tests.benchmarks import material
from tests.benchmarks.processes import child, in_turn, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table


def measure(settings: Settings) -> Table:
    """Whole processes in turn; each times its work after it has imported and compiled everything."""
    scene = material.sample(settings.size)
    mask = scene.with_name(f"{scene.stem}_road.tif")
    sides = ["geounet", "skimage", *(["sknw"] if find_spec("sknw") else [])]
    found = in_turn(
        {side: lambda s=side: run(child("lines_side", side=s, mask=mask)) for side in sides},
        repeats=settings.repeats,
    )
    return Table(
        title="centre-lines of a road mask",
        about=(
            f"The true roads of a sample scene of {settings.size} × {settings.size}. geounet: reading in strips, "
            "skeleton, widths, graph, pruning, lines, GeoJSON. Against it `skimage.morphology.skeletonize` of the "
            "whole mask in memory, and the same with the graph of sknw (without widths, pruning or files). Medians "
            f"of {settings.repeats} rounds in turn, one core."
        ),
        results=tuple(_results(found)),
    )


def _results(found: dict[str, list[Any]]) -> list[Result]:
    seconds = {name: median(r.said["seconds"] for r in runs) for name, runs in found.items()}
    peaks = {name: max(r.peak for r in runs) / 2**20 for name, runs in found.items()}
    ours = seconds["geounet"]
    first = found["geounet"][0].said
    notes = {"geounet": f"{first['lines']:,} lines, {first['nodes']:,} nodes"}
    out = [
        Result(
            what=f"geounet ÷ {name}", value=ours / seconds[name], unit="x", target=1.0 if name == "sknw" else None
        )
        for name in ("skimage", "sknw")
        if name in seconds
    ]
    out += [Result(what=name, value=value, unit="s", note=notes.get(name, "")) for name, value in seconds.items()]
    return out + [Result(what=f"peak memory {name}", value=value, unit="MiB") for name, value in peaks.items()]
