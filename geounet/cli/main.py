"""``geounet``: the group of commands, and what becomes of errors."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from geounet import __version__
from geounet.errors import GeounetError

COMMANDS = {
    "infer": "Run a model over scenes: COGs, vectors, a report.",
    "plan": "Say what infer would run, and what it would cost.",
    "info": "Say what geounet sees in a scene or a model.",
    "vectorize": "Turn a categorical raster into polygons.",
    "train": "Train a model package from scenes and labels.",
    "sample": "Write a synthetic sample scene with its truth.",
    "models": "List, show or export models.",
    "doctor": "Check versions, devices, drivers; say what is missing.",
}


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


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; a user never sees a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:  # noqa: PLR0911  one return per kind of ending
    """Run the command line; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = cli.main(args=given, prog_name="geounet", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return complain(f"{error.format_message()}{_hint(error)}", error.exit_code)
    except GeounetError as error:
        return complain(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return complain("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return complain("out of memory; give a smaller --memory, --block or --batch", 1)
    except Exception as error:  # noqa: BLE001  a bug of ours must not look like the user's
        return _confess(error, verbose="-v" in given or "--verbose" in given)


def complain(message: str, exit_code: int) -> int:
    """Print one line on standard error; the exit code."""
    line = " ".join(message.split())
    click.echo(f"geounet: {'stopped' if exit_code == 130 else 'error'}: {line}", err=True)
    return exit_code


def _hint(error: click.ClickException) -> str:
    """Where to read on after a mistake in the command."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    return f" (see: {error.ctx.command_path} --help)"


def _confess(error: Exception, *, verbose: bool) -> int:
    if verbose:
        import traceback

        traceback.print_exception(error)
    return complain(
        f"unexpected {type(error).__name__}: {error}; this is a bug in geounet, please report it"
        + ("" if verbose else " with the output of the same command and -v"),
        1,
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
