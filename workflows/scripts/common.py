"""What the scripts share: errors in one line, exit codes, files that appear when they are whole."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import click

from geounet.errors import GeounetError, Interrupted

Arguments = ParamSpec("Arguments")


def in_one_line(work: Callable[Arguments, int]) -> Callable[Arguments, NoReturn]:
    """The body of a script: what geounet raises is told in one line, with the exit codes of geounet itself."""

    @functools.wraps(work)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> NoReturn:
        try:
            code = work(*args, **kwargs)
        except GeounetError as error:
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            code = error.exit_code
        except KeyboardInterrupt:
            click.echo("stopped; run the same command again to go on", err=True)
            code = Interrupted.exit_code
        sys.exit(code)

    return run
