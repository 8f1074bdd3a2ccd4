"""How much memory a run takes, and that it does not grow with the scene."""

from __future__ import annotations

from tests.benchmarks import material
from tests.benchmarks.processes import ROOT, child, geounet, infer, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

_SIDE = 8192
_TIMES = 4
_WORLD = ROOT.parent / "shared" / "data" / "scenes" / "world_36000x18000.tif"


def measure(settings: Settings) -> Table:
    """Peaks of whole processes: a network that takes no time over a large scene and one of 16 times its size."""
    model, output = str(material.tiny_model()), settings.outputs / "memory"
    loaded = run(
        child("forward", engine="geounet_engine", model=model, scene=material.sample(512), count=1, threads=1)
    )
    small = run(infer(material.sample(_SIDE), model, output))
    mib = 2**20
    results = [
        Result(what="model loaded, one tile", value=loaded.peak / mib, unit="MiB"),
        Result(what=f"{_SIDE} × {_SIDE}", value=small.peak / mib, unit="MiB", note=f"{small.wall:.0f} s"),
        Result(what="above the loaded model", value=(small.peak - loaded.peak) / mib, unit="MiB", target=1536),
    ]
    if settings.large:
        large = run(infer(material.repeated(_SIDE, _TIMES), model, output))
        side = _SIDE * _TIMES
        results += [
            Result(what=f"{side} × {side}", value=large.peak / mib, unit="MiB", note=f"{large.wall:.0f} s"),
            Result(what="above the loaded model", value=(large.peak - loaded.peak) / mib, unit="MiB", target=1536),
            Result(what="large ÷ small", value=large.peak / small.peak, unit="x", target=1.1),
        ]
        results += _world(model)
    return Table(
        title="memory: the peak of a run",
        about=(
            "Largest resident set of `geounet infer` with a network that takes almost no time (three bands, two "
            f"heads) over a sample scene and, with `--large`, over one that repeats it {_TIMES} × {_TIMES} times."
        ),
        results=tuple(results),
    )


def _world(model: str) -> list[Result]:
    """The peak over the palette world map, where the real data lies beside the checkout."""
    if not _WORLD.exists():
        return []
    output = material.cache() / "out" / "world"
    command = geounet("infer", _WORLD, "--model", model, "-o", output, "--json", "--fresh", "--overwrite")
    finished = run([*command, "--bands", "1,1,1"])
    return [
        Result(
            what=_WORLD.stem, value=finished.peak / 2**20, unit="MiB", note=f"{finished.wall:.0f} s, --bands 1,1,1"
        )
    ]
