"""The group of commands. Every command's module is imported when it is called, not before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from geounet import __version__
from geounet.errors import Interrupted

COMMANDS = {
    "infer": "Run a model over scenes: COGs, vectors, a report.",
    "run": "Process new scenes as they appear, unattended.",
    "ledger": "Say what became of scenes; try them again, forget them.",
    "plan": "Say what infer would run, and what it would cost.",
    "info": "Say what geounet sees in a scene or a model.",
    "vectorize": "Turn a categorical raster into polygons.",
    "preview": "Pictures of a scene and its maps.",
    "evaluate": "Score a map, or a model, against the truth.",
    "seams": "Check whether the borders of tiles show in a map.",
    "train": "Train a model package from scenes and labels.",
    "sample": "Write a synthetic sample scene with its truth.",
    "models": "List, show or export models.",
    "doctor": "Check versions, devices, drivers; say what is missing.",
}


@contextmanager
def _stop_in_one_line() -> Iterator[None]:
    """Of a KeyboardInterrupt, click would make an empty line and an error of its own."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("stopped; run the same command again to go on") from error


class LazyGroup(click.Group):
    """Commands whose modules are imported when they are called, so that ``--help`` starts at once."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"geounet.cli.{name}"), name)
        return command

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """Read the command."""
        with _stop_in_one_line():
            return super().make_context(*given, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _stop_in_one_line():
            return super().invoke(ctx)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="geounet")
def cli() -> None:
    """Turn satellite scenes that are too big for anything else into maps.

    \b
    geounet sample town.tif     # a synthetic scene to try things on
    geounet infer town.tif      # → town_geounet/landuse.tif, landuse.geojson, road.tif, …

    Exit codes: 0 done; 1 something in the work failed, what was finished is kept; 2 the request cannot work;
    130 interrupted, the same command goes on.
    """
