"""Reading what an operator installs: commands in it are parsed by geounet's own command line."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geounet.cli.commands import cli

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


def write_square(path: Path, bounds: list[float], *, crs: int) -> None:
    """One square as GeoJSON in degrees."""
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    x0, y0, x1, y1 = bounds
    ring = [to_degrees.transform(x, y) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def parse_geounet(arguments: list[str]) -> dict[str, object]:
    """The parameters that the arguments of ``geounet`` give. UsageError where they are wrong."""
    command = cli.get_command(click.Context(cli), arguments[0])
    assert command is not None, arguments
    return dict(command.make_context(arguments[0], arguments[1:]).params)
