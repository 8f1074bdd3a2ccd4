"""``geounet``: the group of commands, and what becomes of errors."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from geounet import __version__
from geounet.errors import GeounetError, Interrupted

_FEWER_COLLECTIONS = 50_000
"""Objects between two garbage collections: at Python's 700, those during the imports take a quarter of a second."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

COMMANDS = {
    "infer": "Run a model over scenes: COGs, vectors, a report.",
    "run": "Process new scenes as they appear, unattended.",
    "ledger": "Say what became of scenes; try them again, forget them.",
    "plan": "Say what infer would run, and what it would cost.",
    "info": "Say what geounet sees in a scene or a model.",
    "vectorize": "Turn a categorical raster into polygons.",
    "evaluate": "Score a map against the truth.",
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
    gc.set_threshold(_FEWER_COLLECTIONS)
    _leave(run(arguments))


def _leave(exit_code: int) -> NoReturn:
    """End the process at once, as mypy does: taking hundreds of modules apart costs half a second.

    What registered itself to be called at the end is called; threads that are daemons are not waited for.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter itself calls first
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, KeyboardInterrupt):  # nobody reads on, or nobody waits
        os._exit(exit_code or 1)
    os._exit(exit_code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = cli.main(args=given, prog_name="geounet", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as question:
        click.echo(question.format_message())
        return 0
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  a user never sees a traceback
        return tell_error(error, as_json="--json" in given, verbose=bool({"-v", "--verbose"} & set(given)))


def tell_error(error: BaseException, *, scene: str | None = None, as_json: bool, verbose: bool) -> int:
    """Print an error as one line (with ``--json`` also as an event) and return the exit code that it becomes.

    ``scene`` is named where it is one of several.
    """
    message, exit_code = _told(error, verbose=verbose)
    if as_json:
        from geounet.cli.show import json_line

        json_line("error", scene=scene, message=message, exit_code=exit_code)
    return complain(message if scene is None or scene in message else f"{scene}: {message}", exit_code)


def _told(error: BaseException, *, verbose: bool) -> tuple[str, int]:
    """What to say about an error, in one line, and its exit code."""
    if isinstance(error, GeounetError):
        return one_line(str(error)), error.exit_code
    if isinstance(error, click.ClickException):
        return one_line(f"{error.format_message()}{_hint(error)}"), error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "stopped; run the same command again to go on", Interrupted.exit_code
    if isinstance(error, MemoryError):
        return "out of memory; give a smaller --memory, --block or --batch", 1
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"{error.strerror}{_of_file(error)}; free some space and run the same command again to go on", 1
    return _confess(error, verbose=verbose), 1


def one_line(message: str) -> str:
    """The message without line breaks."""
    return " ".join(message.split())


def complain(message: str, exit_code: int) -> int:
    """Print one line on standard error; the exit code."""
    click.echo(f"geounet: {'' if exit_code == Interrupted.exit_code else 'error: '}{one_line(message)}", err=True)
    return exit_code


def _of_file(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def _hint(error: click.ClickException) -> str:
    """Where to read on after a mistake in the command."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    return f" (see: {error.ctx.command_path} --help)"


def _confess(error: BaseException, *, verbose: bool) -> str:
    """A bug of ours must not look like the user's mistake."""
    if verbose:
        import traceback

        traceback.print_exception(error)
    return one_line(
        f"unexpected {type(error).__name__}: {error}; this is a bug in geounet, please report it"
        + ("" if verbose else " with the output of the same command and -v")
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
