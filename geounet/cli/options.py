"""Options that several commands share, in the groups in which ``--help`` tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorated = Callable[..., Any]

_VERBOSE = "geounet.verbose"

_RUN_OPTIONS = [
    click.option("--model", "-m", metavar="NAME|FOLDER|FILE.onnx", help="Model to run [default: landuse-roads]."),
    click.option(
        "--output", "-o", metavar="DIR", help="Results folder [default: <scene>_geounet beside the scene]."
    ),
    click.option("--config", metavar="FILE.yaml", help="Options from a file; those given here win."),
    click.option("--tile", type=int, metavar="PX", help="Side of a tile [default: the model's, mostly 512]."),
    click.option("--overlap", type=int, metavar="PX", help="Pixels that neighbouring tiles share [default: 128]."),
    click.option("--batch", metavar="N|auto", help="Tiles per forward pass [default: auto]."),
    click.option(
        "--block", metavar="PX|auto", help="Side of a block, the unit of work and resume [default: auto]."
    ),
    click.option("--memory", metavar="SIZE", help="Memory for the blocks, such as 4GiB [default: up to 1GiB]."),
    click.option("--device", metavar="auto|cpu|cuda|cuda:N", help="Where the network runs [default: auto]."),
    click.option("--precision", metavar="auto|fp32|bf16|fp16", help="Arithmetic of the network [default: auto]."),
    click.option(
        "--tta", metavar="none|flips|d4", help="Average over mirrored (and turned) tiles [default: none]."
    ),
    click.option("--bands", metavar="4,3,2|red,green,blue", help="Bands for the model, by number or name."),
    click.option("--stack", is_flag=True, default=None, help="The files are bands of one scene."),
    click.option("--nodata", type=float, metavar="VALUE", help="Pixel value that means: no data."),
    click.option("--mask", metavar="FILE", help="Raster whose non-zero pixels are left out (clouds)."),
    click.option(
        "--gsd",
        metavar="METRES|native|auto",
        help="Pixel size at which the network sees the scene [default: the model's own, where the scene is "
        "coarser or much finer].",
    ),
    click.option(
        "--pixel-size", type=float, metavar="METRES", help="Pixel size of a scene whose file has no CRS to say it."
    ),
    click.option("--aoi", metavar="FILE", help="Polygons of a vector file: work only inside them."),
    click.option("--workers", type=int, metavar="N", help="Local worker processes [default: this process]."),
    click.option("--threads", type=int, metavar="N", help="Tiles at a time per process [default: all cores]."),
    click.option("--scheduler", metavar="tcp://…|tls://…", help="Run on the workers of this Dask scheduler."),
    click.option("--min-area", type=float, metavar="M2", help="Smaller polygons join their neighbours."),
    click.option("--min-hole", type=float, metavar="M2", help="Smaller holes are filled by what they lie in."),
    click.option("--simplify", type=float, metavar="METRES", help="Simplify outlines; no gaps, no overlaps."),
    click.option("--bridge", type=float, metavar="METRES", help="Close gaps in centre-lines up to this."),
    click.option("--spur", type=float, metavar="METRES", help="Prune dead ends below this [default: road width]."),
    click.option("--smooth", is_flag=True, default=None, help="Round the corners of outlines, to look at."),
    click.option(
        "--threshold",
        metavar="P[:WEAK]",
        help="Probability at which masks are cut; 0.5:0.3 also keeps what is at least 0.3 and hangs together with "
        "0.5 [default: the model's].",
    ),
    click.option(
        "--regularize",
        metavar="CLASS[,CLASS]",
        help="Also write the outlines of these classes (building) with right angles, as a layer of their own.",
    ),
    click.option("--stats", metavar="FILE.tif", help="Adds mean, min and max of this raster's bands to polygons."),
    click.option(
        "--cleaned", is_flag=True, default=None, help="Also write the labels after --min-area and --min-hole."
    ),
    click.option(
        "--format",
        "formats",
        metavar="NAME[,NAME]",
        help="geojson, geojsonseq, geojsons, gpkg, fgb, parquet, shp.",
    ),
    click.option("--confidence", is_flag=True, default=None, help="Also write a confidence raster per head."),
    click.option(
        "--base", metavar="DIR", help="Results of an earlier version: its unchanged blocks are taken over."
    ),
    click.option("--fresh", is_flag=True, default=None, help="Forget what an earlier run finished."),
    click.option("--overwrite", is_flag=True, default=None, help="Replace results of another run."),
    click.option("--allow-remote", is_flag=True, default=None, help="Let scenes be read over HTTP or S3."),
    click.option("--allow-pickle", is_flag=True, default=None, help="Let model weights be pickles."),
]


def run_options(command: Decorated) -> Decorated:
    """The options of ``infer`` and ``plan``; None where one was not given."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


_OUTPUT_OPTIONS = [
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line."),
    click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors."),
    click.option(
        "--verbose", "-v", is_flag=True, expose_value=False, callback=lambda context, _, on: _remember(context, on),
        help="Show tracebacks of unexpected errors.",
    ),
]  # fmt: skip


def _remember(context: click.Context, on: bool) -> None:
    context.meta[_VERBOSE] = on


def is_verbose() -> bool:
    """Whether the command that runs was given ``-v``."""
    return bool(click.get_current_context().meta.get(_VERBOSE))


def output_options(command: Decorated) -> Decorated:
    """``--json``, ``-q`` and ``-v``, which every command has; it takes ``as_json`` and ``quiet``."""
    for option in reversed(_OUTPUT_OPTIONS):
        command = option(command)
    return command
