"""``geounet infer``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options, run_options
from geounet.cli.scenes import each_scene, scene_groups
from geounet.io import human


@click.command(short_help="Run a model over scenes.")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE [SCENE …]")
@run_options
@click.option("--dry-run", is_flag=True, help="Only say what would run; the same as geounet plan.")
@output_options
def infer(scenes: tuple[str, ...], config: str | None, dry_run: bool, **given: Any) -> int:
    """Run a model over scenes and leave maps: a COG and polygons for every head of the model.

    \b
    geounet infer scene.tif                          # → scene_geounet/
    geounet infer *.tif -o maps                      # → maps/<scene>/
    geounet infer --stack B04.jp2 B03.jp2 B02.jp2 --gsd 0.6
    geounet infer scene.tif --min-area 25 --format geojson,gpkg

    A run that was interrupted or killed goes on where it stopped when the same command is given again.
    """
    from geounet.config import build_options, load_config

    as_json, quiet = given.pop("as_json"), given.pop("quiet")
    options = build_options(load_config(config) if config else {}, given)
    groups = scene_groups(scenes, options)
    if dry_run:
        from geounet.cli.plan import show_plans

        return show_plans(groups, options, as_json=as_json, quiet=quiet)

    def one(paths: Sequence[str]) -> None:
        _infer_one(paths, options, several=len(groups) > 1, as_json=as_json, quiet=quiet)

    if len(groups) == 1 or options.started is None:
        return each_scene(groups, one, as_json=as_json)
    from geounet.run.cluster import one_cluster

    with one_cluster():  # that was asked for once, and takes longer to start than many a scene
        return each_scene(groups, one, as_json=as_json)


def _infer_one(paths: Sequence[str], options: Any, *, several: bool, as_json: bool, quiet: bool) -> None:
    from geounet.cli.progress import BarProgress, choose_progress
    from geounet.run.pipeline import infer_scene

    progress = choose_progress(as_json=as_json, quiet=quiet)
    try:
        run = infer_scene(paths, options, progress=progress, several=several)
    finally:
        if isinstance(progress, BarProgress):
            progress.close()
    _show_run(run, as_json=as_json, quiet=quiet)


def _show_run(run: Any, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        facts = {name: getattr(run, name) for name in ("scene", "output", "pixels", "pixels_computed", "tiles")}
        facts |= {
            name: getattr(run, name)
            for name in (
                "tiles_skipped",
                "features",
                "area_by_class",
                "length",
                "timings",
                "engine",
                "reused",
                "blocks",
                "as_before",
            )
        }
        show.json_line("done", **facts, paths={name: str(path) for name, path in run.paths.items()})
        return
    if quiet:
        return
    if run.reused:
        click.echo(f"{run.scene}: everything is there already in {run.output} (--fresh computes it again)")
    else:
        click.echo(f"{run.scene}: {_pace(run)}")
        if run.as_before:
            click.echo(f"{run.as_before} of {human.count(run.blocks, 'block')} are as before")
    click.echo(f"results in {run.output}")
    show.table(
        [(name, human.size(path.stat().st_size)) for name, path in sorted(run.paths.items()) if path.exists()]
    )
    for head, areas in run.area_by_class.items():
        click.echo(f"{head}: {human.count(run.features.get(head, 0), 'polygon')}")
        show.table([(name, human.area(value, run.area_unit)) for name, value in areas.items()])
        if (layer := f"{head}_lines") in run.length:
            click.echo(human.lines(run.features.get(layer, 0), run.length[layer], run.area_unit))
        if (layer := f"{head}_regularized") in run.features:
            click.echo(f"{layer}: {human.count(run.features[layer], 'polygon')}")
    sys.stdout.flush()


def _pace(run: Any) -> str:
    """How much was computed in what time; what an earlier run had computed does not count as speed."""
    whole, now, took = run.pixels / 1e6, run.pixels_computed / 1e6, human.duration(run.seconds)
    if not now:
        return f"{whole:,.1f} Mpx, computed by an earlier run; the rest in {took}"
    some = "" if now == whole else f", {now:,.1f} Mpx of them computed now"
    speed = f"{now / run.seconds:.2f} Mpx/s"
    return f"{whole:,.1f} Mpx{some} in {took} ({speed}), {human.count(run.tiles, 'tile')}, {run.engine}"
