"""``geounet``: from the first instruction to the exit code. Nothing is imported before signals are listened to."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from geounet.cli import signals
from geounet.errors import Interrupted, ReaderGone

_FEWER_COLLECTIONS = 50_000
"""Objects between two garbage collections: at Python's 700, those during the imports take a quarter of a second."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; a user never sees a traceback."""
    signals.leave_silently()
    _open_closed_streams()
    gc.set_threshold(_FEWER_COLLECTIONS)
    if not sys.warnoptions:  # of libraries, for those who program with them; ours are told in lines
        warnings.simplefilter("ignore")
    given = list(sys.argv[1:] if arguments is None else arguments)
    import_module("geounet.cli.commands")  # from here on, whatever is interrupted is caught by `run`
    try:
        signals.listen(lambda: _tell(KeyboardInterrupt(), given))
        _leave(run(given))
    except KeyboardInterrupt:  # before `run` can catch it, when nothing has begun
        os._exit(Interrupted.exit_code)


def _open_closed_streams() -> None:
    """What was closed by our caller (``>&-``) leads nowhere; else the next file opened takes its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115


def _leave(exit_code: int) -> NoReturn:
    """End the process at once, as mypy does: taking hundreds of modules apart costs half a second.

    What registered itself to be called at the end is called; threads that are daemons are not waited for, and
    after an interruption no thread is.
    """
    try:
        if exit_code != Interrupted.exit_code:
            threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter itself calls first
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, KeyboardInterrupt):  # nobody reads on, or nobody waits
        os._exit(exit_code or 1)
    os._exit(exit_code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    import click

    from geounet.cli.commands import cli

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = cli.main(args=given, prog_name="geounet", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as question:
        click.echo(question.format_message())
        return 0
    except (BrokenPipeError, ReaderGone):  # the reader of our output has gone; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  a user never sees a traceback
        if signals.stopped():
            signals.speak()
            error = error if isinstance(error, Interrupted) else KeyboardInterrupt()
        return _tell(error, given)


def _tell(error: BaseException, given: Sequence[str]) -> int:
    """Print an error in the manner that the command asks for; the exit code."""
    from geounet.cli.endings import tell_error

    return tell_error(error, as_json="--json" in given, verbose=bool({"-v", "--verbose"} & set(given)))
