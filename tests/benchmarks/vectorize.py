"""``geounet vectorize`` against rasterio's shapes, shapely and GDAL's writers."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import labels
from tests.benchmarks.processes import ROOT, Finished, child, geounet, in_turn, median, run
from tests.benchmarks.settings import Settings
from tests.benchmarks.table import Result, Table

_REAL = ROOT.parent / "shared" / "data" / "scenes" / "labels_sentinel2_10980.tif"
_TARGETS = {"geojson": 6.0, "fgb": 8.0}
_NAMES = {"geojson": "GeoJSON", "fgb": "FlatGeobuf"}
_LARGE = 32000


def measure(settings: Settings) -> Table:
    """Whole processes in turn, for every raster and format."""
    rasters = {f"{kind} {labels.SIZE}²": labels.raster(kind) for kind in ("smooth", "noisy")}
    if _REAL.exists():
        rasters["Sentinel-2 labels 10980²"] = _REAL
    folder = settings.outputs / "vectorize"
    folder.mkdir(parents=True, exist_ok=True)
    run(_ours(labels.raster("smooth", 512), folder / "warm.geojson"))  # compiles what is not in numba's cache
    run(_ours(labels.raster("smooth", 512), folder / "warm.fgb"))
    results: list[Result] = []
    for name, path in rasters.items():
        results += _compared(name, path, folder, settings.repeats)
        results += _alone(name, path, folder, settings.repeats)
    if settings.large:
        results += _large(folder)
    return Table(
        title="vectorize: labels to polygons in files",
        about=(
            "`geounet vectorize` as a whole process, against a script that does the same by `rasterio.features."
            "shapes`, shapely's `shape` and GDAL's writers through geopandas (GeoJSON as RFC 7946), as a whole "
            f"process too; medians of {settings.repeats} rounds in turn. Ratios are how many times as long theirs "
            "takes; memory is the largest resident set, ours ÷ theirs."
        ),
        results=tuple(results),
    )


def _compared(name: str, path: Path, folder: Path, repeats: int) -> list[Result]:
    """Both sides, for every format."""
    results = []
    for form, target in _TARGETS.items():
        commands = {
            "ours": _ours(path, folder / f"ours.{form}"),
            "theirs": child("polygonize", labels=path, output=folder / f"theirs.{form}"),
        }
        sides = in_turn(
            {side: lambda command=command: run(command) for side, command in commands.items()}, repeats=repeats
        )
        results += _results(f"{name} to {_NAMES[form]}", target, sides["ours"], sides["theirs"])
    return results


def _alone(name: str, path: Path, folder: Path, repeats: int) -> list[Result]:
    """Two threads against one, and the kernel by itself."""
    sides = in_turn(
        {n: lambda n=n: run(_ours(path, folder / "threads.geojson", "--threads", n)) for n in ("1", "2")},
        repeats=repeats,
    )
    one, two = (median(r.wall for r in sides[n]) for n in ("1", "2"))
    threads = Result(
        what=f"{name} to GeoJSON, two threads against one", value=one / two, unit="x", target=1.8,
        higher_is_better=True, note=f"{one:.2f} s and {two:.2f} s, whole processes",
    )  # fmt: skip
    speed = run(child("kernel", labels=path, repeats=repeats)).said["mpx_per_second"]
    smooth = name.startswith("smooth")
    return [
        threads,
        Result(
            what=f"{name}, components and rings alone", value=speed, unit="Mpx/s", target=60.0 if smooth else None,
            higher_is_better=True, note="in memory, one core",
        ),
    ]  # fmt: skip


def _ours(path: Path, output: Path, *options: str) -> list[str]:
    return geounet("vectorize", path, "-o", output, "--overwrite", "--quiet", *options)


def _results(what: str, target: float, ours: list[Finished], theirs: list[Finished]) -> list[Result]:
    wall, cpu, peak = (
        tuple(median(getattr(r, name) for r in side) for side in (ours, theirs)) for name in ("wall", "cpu", "peak")
    )
    note = f"{wall[0]:.2f} s and {wall[1]:.2f} s; CPU time {cpu[0]:.2f} s and {cpu[1]:.2f} s"
    mib = f"{peak[0] / 2**20:.0f} MiB and {peak[1] / 2**20:.0f} MiB"
    ratio = Result(what=what, value=wall[1] / wall[0], unit="x", target=target, higher_is_better=True, note=note)
    by_cpu = Result(what=f"{what}, CPU time", value=cpu[1] / cpu[0], unit="x")
    return [ratio, by_cpu, Result(what=f"{what}, memory", value=peak[0] / peak[1], unit="x", target=0.5, note=mib)]


def _large(folder: Path) -> list[Result]:
    """Sixteen times the pixels of the same texture."""
    path, output = labels.raster("smooth", _LARGE), folder / "large.geojson"
    small = run(_ours(labels.raster("smooth"), output, "--threads", "1"))
    one, two = (run(_ours(path, output, "--threads", n)) for n in ("1", "2"))
    with output.open("rb") as file:  # a feature in each line
        feature = max(map(len, file))
    return [
        Result(
            what=f"memory, {_LARGE}² less its largest feature ÷ {labels.SIZE}²", unit="x", target=1.5,
            value=(one.peak - feature) / small.peak,
            note=f"{one.peak / 2**20:.0f}, {feature / 2**20:.0f} and {small.peak / 2**20:.0f} MiB, one thread",
        ),
        Result(
            what=f"smooth {_LARGE}² to GeoJSON, two threads against one", value=one.wall / two.wall, unit="x",
            target=1.8, higher_is_better=True, note=f"{one.wall:.1f} s and {two.wall:.1f} s, whole processes",
        ),
    ]  # fmt: skip
