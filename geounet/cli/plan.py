"""``geounet plan``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options, run_options
from geounet.cli.scenes import Group, each_scene, scene_groups
from geounet.io import human


@click.command(short_help="Say what infer would run, and what it would cost.")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE [SCENE …]")
@run_options
@output_options
def plan(scenes: tuple[str, ...], config: str | None, **given: Any) -> int:
    """Say what geounet infer would do with the same options, and what it would cost. Touches nothing.

    What cannot work is refused here already, with the remedy. The time is measured on a few tiles.
    """
    from geounet.config import build_options, load_config

    as_json, quiet = given.pop("as_json"), given.pop("quiet")
    options = build_options(load_config(config) if config else {}, given)
    groups = scene_groups(scenes, options)
    return show_plans(groups, options, as_json=as_json, quiet=quiet)


def show_plans(groups: Sequence[Group], options: Any, *, as_json: bool, quiet: bool) -> int:
    """Print a plan for every scene; quiet: only find out whether it can work."""
    from geounet.run.adopt import find_base
    from geounet.run.forecast import forecast
    from geounet.run.journal import STATE, results_of
    from geounet.run.pipeline import plan_scene

    def one(paths: Group) -> None:
        laid_out = plan_scene(paths, options, several=len(groups) > 1)
        if not quiet:
            found = find_base(laid_out.output / STATE, laid_out, options)
            base = None if found is None else results_of(found[0])
            _show(laid_out, forecast(laid_out), base=base, as_json=as_json, elsewhere=options.elsewhere)

    return each_scene(groups, one, as_json=as_json)


def _show(plan: Any, measured: Any, *, base: Any, as_json: bool, elsewhere: str | None) -> None:
    costs, spec = plan.costs, plan.package.spec
    if as_json:
        show.json_line(
            "plan",
            scene=plan.scene_name,
            width=plan.geobox.width,
            height=plan.geobox.height,
            model=spec.name,
            stretch=plan.stretch,
            engine=measured.engine,
            batch=measured.batch,
            threads=plan.request.threads,
            workers=plan.workers,
            tile=plan.lattice.tile,
            overlap=plan.lattice.rows.overlap,
            tiles=costs.tiles,
            tiles_computed=costs.tiles_computed,
            recompute_factor=round(costs.recompute_factor, 4),
            blocks=len(plan.partition),
            block=[plan.partition.block_height, plan.partition.block_width],
            memory=costs.memory,
            scratch=costs.scratch,
            network_memory=measured.memory,
            device_memory=measured.device_memory,
            seconds=round(measured.seconds, 1),
            base=base,
            output=plan.output,
            warnings=plan.warnings,
        )
        return
    for warning in plan.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{plan.scene_name}: {plan.geobox.width} × {plan.geobox.height} px, {plan.dtype}")
    earlier = (
        []
        if base is None
        else [("earlier", f"blocks that are as in {base} are taken from it; which, the run finds out")]
    )
    time = ("time", _time(measured, elsewhere))
    show.table([*_rows(plan, measured), *earlier, time, ("results", str(plan.output))])


def _rows(plan: Any, measured: Any) -> list[tuple[str, str]]:
    costs, spec, request, blocks = plan.costs, plan.package.spec, plan.request, plan.partition
    heads = ", ".join(f"{head.name} ({len(head.classes)} classes)" for head in spec.heads)
    overlap = plan.lattice.rows.overlap
    processes = "1 process" if plan.workers == 1 else f"{plan.workers} processes"
    return [
        ("model", f"{spec.name} {spec.version}: {heads}"),
        *([] if plan.stretch is None else [("stretch", f"{plan.stretch}, 2nd and 98th percentile of the scene")]),
        (
            "engine",
            f"{measured.engine}, {human.count(request.threads, 'tile')} at a time in {processes}",
        ),
        ("tiles", f"{costs.tiles:,} of {plan.lattice.tile} px, overlap {overlap} px"),
        ("blocks", f"{len(blocks):,} of up to {blocks.block_width} × {blocks.block_height} px"),
        ("computed", f"{costs.tiles_computed:,} tiles ({costs.recompute_factor:.3f} × the lattice)"),
        (
            "memory",
            f"{human.size(costs.memory)} for blocks, {human.size(measured.memory)} for the network, per process",
        ),
        *([("device", f"{human.size(measured.device_memory)} of device memory")] if measured.device_memory else []),
        ("scratch", f"at most {human.size(costs.scratch)} in {plan.output}"),
    ]


def _time(measured: Any, elsewhere: str | None) -> str:
    where = "" if elsewhere is None else f" on this machine alone; nobody has asked the workers of {elsewhere}"
    return (
        f"about {human.duration(measured.seconds)}{where} (an estimate from a few tiles; reading, writing and "
        "vectors come on top)"
    )
