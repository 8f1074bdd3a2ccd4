"""Everything that geounet raises on purpose, and the exit code that each becomes.

    GeounetError
    ├── RequestError            the request cannot work; nothing was done          exit 2
    │   ├── SceneError          a raster that cannot be read as a scene
    │   ├── ModelError          a model package that is broken, or does not fit
    │   ├── ConfigError         an option or a configuration value that is wrong
    │   │   └── ClusterError    the scheduler or cluster that it names does not take the work
    │   ├── BusyError           another run holds the output folder
    │   └── MissingExtraError   an optional library is not installed
    ├── WorkError               something failed in the work; what was finished is kept   exit 1
    │   ├── BlocksFailed        some blocks kept failing; the others are finished
    │   └── NoWorkers           no Dask worker came, or scheduler or workers have gone
    └── Interrupted             Ctrl-C or SIGTERM; the same command goes on        exit 130
        └── ReaderGone          nobody reads what is printed: `geounet … | head`   exit 1, or 130 at work

A message is one line: what, the value, what was expected, what to do.
"""

from __future__ import annotations


class GeounetError(Exception):
    """Base of all errors that geounet raises on purpose."""

    exit_code = 1


class RequestError(GeounetError):
    """The request cannot work; nothing was done and nothing was touched."""

    exit_code = 2


class SceneError(RequestError):
    """A raster cannot be read as a scene."""


class ModelError(RequestError):
    """A model package is broken, or does not fit the scene or the options."""


class ConfigError(RequestError):
    """An option or a configuration value is wrong."""


class ClusterError(ConfigError):
    """The scheduler or cluster that a configuration names does not take the work; no scene is to blame."""


def cannot_write(output: object, error: OSError) -> ConfigError:
    """For a folder of results that does not take them."""
    return ConfigError(f"{output} cannot be written: {error.strerror}; choose another --output")


class BusyError(RequestError):
    """Another run holds the output folder."""


class MissingExtraError(RequestError):
    """An optional library is not installed."""

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        return type(self), self._arguments  # errors travel between processes

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        self._arguments = (library, extra, purpose)
        super().__init__(f"{purpose} needs {library}, which is not installed; run: pip install 'geounet[{extra}]'")


class WorkError(GeounetError):
    """Something failed in the work; what was finished is kept."""


class BlocksFailed(WorkError):
    """Some blocks kept failing; the other blocks are finished and kept."""


class NoWorkers(WorkError):
    """No Dask worker came, or scheduler or workers have gone; no scene is to blame."""


class Interrupted(GeounetError):
    """The run was told to stop (Ctrl-C or SIGTERM); the same command goes on where it stopped."""

    exit_code = 130


class ReaderGone(Interrupted):
    """Nobody reads what is printed any more; the same command goes on where it stopped."""

    exit_code = 1
