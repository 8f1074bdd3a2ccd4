"""``geounet info``."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from geounet.cli import show
from geounet.cli.options import output_options
from geounet.io import human


@click.command(short_help="Say what geounet sees in a scene or a model.")
@click.argument("target", metavar="SCENE|MODEL")
@click.option("--bands", metavar="4,3,2|red,green,blue", help="Bands, by number or name.")
@click.option("--nodata", type=float, metavar="VALUE", help="Pixel value that means: no data.")
@click.option("--allow-remote", is_flag=True, help="Let a scene be read over HTTP or S3.")
@click.option("--allow-pickle", is_flag=True, help="Let model weights be a pickle.")
@output_options
def info(target: str, allow_pickle: bool, as_json: bool, quiet: bool, **given: Any) -> int:
    """Say what geounet sees in a file: size, bands, nodata, CRS, resolution and warnings; or a model's card.

    TARGET is a raster (or a folder of a Sentinel-2 or Landsat product), the name of a model that comes with
    geounet (geounet models list), a model folder, or an .onnx file.
    """
    if is_model(target):
        return show_model(target, allow_pickle=allow_pickle, as_json=as_json, quiet=quiet)
    return _show_scene(target, as_json=as_json, quiet=quiet, **given)


def is_model(target: str) -> bool:
    """Whether a name or path means a model rather than a scene."""
    from geounet.model.package import CARD, models

    path = Path(target)
    if not path.exists():
        return target in models()
    cards = (CARD, "config.json")
    return path.suffix == ".onnx" or (path.is_dir() and any((path / card).is_file() for card in cards))


def _show_scene(target: str, *, as_json: bool, quiet: bool, **given: Any) -> int:
    from geounet.io.describe import describe
    from geounet.io.scene import open_scene

    with open_scene(target, **given) as scene:
        seen = describe(scene)
    if as_json:
        show.json_line("scene", **asdict(seen))
    elif not quiet:
        _tell_scene(seen)
    return 0


def _tell_scene(seen: Any) -> None:
    unit = "" if seen.crs is None else " CRS units"
    ground = "" if seen.gsd is None else f" ({seen.gsd:.4g} m on the ground)"
    click.echo(f"{seen.name}: {seen.width} × {seen.height} px, {seen.driver}, {seen.dtype}")
    show.table(
        [
            ("bands", ", ".join(seen.bands)),
            ("nodata", "none declared" if seen.nodata is None else f"{seen.nodata:g}"),
            ("masks", ", ".join(seen.masks) or "none"),
            ("CRS", seen.crs or "none: results will be in pixel coordinates"),
            ("resolution", f"{seen.resolution[0]:.6g} × {seen.resolution[1]:.6g}{unit}{ground}"),
            ("blocks", f"{seen.block_shape[1]} × {seen.block_shape[0]} px"),
            ("overviews", ", ".join(str(n) for n in seen.overviews) or "none"),
            ("stored", human.size(seen.stored_bytes) if seen.stored_bytes else "remote"),
        ]
    )
    for warning in seen.warnings:
        click.echo(f"warning: {warning}", err=True)


def show_model(target: str, *, allow_pickle: bool, as_json: bool, quiet: bool) -> int:
    """Print a model's card."""
    from geounet.model.package import load_model

    package = load_model(target, allow_pickle=allow_pickle)
    stored = package.spec.receptive_field is not None
    if not stored and not quiet:
        from geounet.model.receptive import measure_package

        package = replace(package, spec=replace(package.spec, receptive_field=measure_package(package).side))
    if as_json:
        show.json_line("model", digest=package.digest, **asdict(package.spec))
    elif not quiet:
        _tell_model(package, stored=stored)
    return 0


def _tell_model(package: Any, *, stored: bool) -> None:
    spec = package.spec
    click.echo(f"{spec.name} {spec.version}: {spec.description}")
    graph = " + ONNX graph" if package.graph is not None and package.weights is not None else ""
    show.table(
        [
            ("architecture", f"{spec.architecture}{graph} {dict(spec.hyperparameters) or ''}"),
            ("bands", ", ".join(f"{b.name} ({b.mean:.4g} ± {b.std:.4g})" for b in spec.bands) + f", {spec.dtype}"),
            *([] if spec.stretch is None else [("stretch", _stretch(spec))]),
            *(
                (f"head {head.name}", f"{head.kind}: {', '.join(c.name for c in head.classes)}")
                for head in spec.heads
            ),
            ("tile", f"{spec.tile} px, overlap {spec.overlap} px, sides must be multiples of {spec.divisor}"),
            ("context", _context(spec, stored=stored)),
            ("resolution", _resolution(spec)),
            ("licence", spec.license or "not said"),
            ("digest", package.digest),
        ]
    )
    show.table(
        [(name.replace("_", " "), _told(value)) for name, value in spec.provenance.items() if name != "config"]
    )


def _stretch(spec: Any) -> str:
    low, high = spec.stretch
    return f"the 2nd and 98th percentile of every scene are taken as {low:g} and {high:g}"


def _told(value: Any) -> str:
    """What a trainer recorded, as people read it: names of scenes, scores with three digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(
            str(entry["name"]) if isinstance(entry, dict) and "name" in entry else _told(entry) for entry in value
        )
    return str(value)


def _context(spec: Any, *, stored: bool) -> str:
    """How far the network looks, and which overlap that asks for."""
    side = spec.receptive_field
    enough = "has it" if spec.overlap >= side else f"is too small: give --overlap {side}"
    how = "" if stored else " (measured now; geounet models export stores it)"
    return f"a pixel is decided by {side} × {side} px, which ask for an overlap of {side} px; its own {enough}{how}"


def _resolution(spec: Any) -> str:
    if spec.gsd is None:
        return "not said"
    known = f", known to work from {spec.gsd_range[0]:g} to {spec.gsd_range[1]:g} m" if spec.gsd_range else ""
    return f"{spec.gsd:g} m{known}"
