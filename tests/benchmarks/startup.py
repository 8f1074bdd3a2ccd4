"""What passes before the first tile and after the last."""

from __future__ import annotations

import sys

from tests.benchmarks import material
from tests.benchmarks.processes import child, geounet, in_turn, infer, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

_ONE_TILE = 512


def measure(settings: Settings) -> Table:
    """``--help``, a scene of one tile, and a run whose results are there already."""
    scene, output = material.sample(_ONE_TILE), settings.outputs / "startup"
    finished = geounet("infer", scene, "--model", settings.model, "-o", output, "--json", "--overwrite")
    imports = run([sys.executable, "-X", "importtime", *infer(scene, settings.model, output)[1:]]).err
    sides = in_turn(
        {
            "forward": lambda: run(
                child("forward", engine="geounet_engine", model=settings.model, scene=scene, count=1, threads=1)
            ),
            "help": lambda: run(geounet("--help")),
            "one tile": lambda: run(infer(scene, settings.model, output)),
            "again": lambda: run(finished),
        },
        repeats=max(3, settings.repeats),
    )
    assert all(r.said["reused"] for r in sides["again"]), "the second run did something"
    tile = median(r.said["wall"] for r in sides["forward"])
    around = median(r.wall - _stages_after(r.said) for r in sides["one tile"]) - tile
    around_cpu = median(r.cpu for r in sides["one tile"]) - tile
    torch = any(line.rstrip().endswith((" torch", "|torch")) for line in imports.splitlines())
    return Table(
        title="start-up: what passes before the first tile and after the last",
        about=(
            "Whole processes. “Around the tiles” is `geounet infer` over a scene of one tile, less its forward "
            f"pass ({1e3 * tile:.0f} ms) and the stages stitch, vectors and describe: start, imports, loading the "
            "model, starting and closing Dask, exit."
        ),
        results=(
            Result(what="geounet --help", value=median(r.wall for r in sides["help"]), unit="s", target=0.4),
            Result(what="a second run", value=median(r.wall for r in sides["again"]), unit="s", target=2.0),
            Result(what="around the tiles", value=around, unit="s", target=2.0, note="wall"),
            Result(what="the whole run less its tile", value=around_cpu, unit="s", note="CPU time, every stage"),
            Result(what="imports of torch", value=float(torch), target=0.0, note="in a run that does not need it"),
        ),
    )


def _stages_after(said: dict[str, dict[str, float]]) -> float:
    return sum(said["timings"][stage] for stage in ("stitch", "vectors", "describe"))
