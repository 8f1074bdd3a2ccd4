"""What becomes of errors: one line, and an exit code."""

from __future__ import annotations

import errno
from contextlib import suppress

import click

from geounet.errors import GeounetError, Interrupted, ReaderGone

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def tell_error(error: BaseException, *, scene: str | None = None, as_json: bool, verbose: bool) -> int:
    """Print an error as one line (with ``--json`` also as an event) and return the exit code that it becomes.

    ``scene`` is named where it is one of several.
    """
    message, exit_code = _told(error, verbose=verbose)
    if as_json:
        from geounet.cli.show import json_line

        with suppress(ReaderGone):
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
