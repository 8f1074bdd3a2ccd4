"""Clusters that geounet starts for a run and closes after it, by the libraries that know how."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from distributed import Client
from distributed.security import Security

from geounet.errors import ClusterError, GeounetError, MissingExtraError, NoWorkers
from geounet.run.cluster_config import StartedCluster
from geounet.run.kubernetes import start_on_kubernetes
from geounet.run.queue_cluster import start_in_queue
from geounet.run.scheduler import security_of
from geounet.run.ssh_cluster import start_over_ssh

_LOOK = 2.0  # seconds between looks whether a library has told of a failure while it waits for workers

_closing = 0


def is_closing() -> bool:
    """Whether a cluster is there that has to be closed before the process may go."""
    return _closing > 0


@contextmanager
def started(config: StartedCluster) -> Iterator[Client]:
    """Start a cluster on other machines; a client of it, once a worker has come.

    Raises MissingExtraError without the library, ClusterError where it cannot be started, NoWorkers where no worker
    comes. The cluster is closed at the end of the body, however that ends.
    """
    global _closing  # noqa: PLW0603  asked by whoever ends the process
    start = _library_of(config)
    security = security_of(config.tls) if config.tls is not None else None
    _closing += 1
    try:
        with _quiet() as said:
            with _one_line(config):
                cluster = start(config, security)
            try:
                with Client(cluster, set_as_default=False) as client:
                    _await_workers(client, config, said)
                    yield client
            finally:
                _close(cluster)
    finally:
        _closing -= 1


def _library_of(config: StartedCluster) -> Callable[[StartedCluster, Security | None], Any]:
    """Who starts clusters of its kind. Raises MissingExtraError where the library is not installed."""
    module, extra, start = _LIBRARIES[str(config.kind)]
    if find_spec(module) is None:
        raise MissingExtraError(module.replace("_", "-"), extra, f"cluster.kind {config.kind}")
    return start


_LIBRARIES = {
    "ssh": ("asyncssh", "ssh", start_over_ssh),
    "slurm": ("dask_jobqueue", "jobqueue", start_in_queue),
    "pbs": ("dask_jobqueue", "jobqueue", start_in_queue),
    "kubernetes": ("dask_kubernetes", "kubernetes", start_on_kubernetes),
}
"""By kind: the library, the extra that brings it, who starts the cluster."""


def _close(cluster: Any) -> None:
    """Also where some of its workers never started, about which Dask complains; what went wrong was told."""
    with suppress(Exception):
        cluster.close()


@contextmanager
def _one_line(config: StartedCluster) -> Iterator[None]:
    """Whatever keeps a library from starting its cluster is the user's to mend: a host, a key, a queue."""
    try:
        yield
    except (GeounetError, KeyboardInterrupt):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(f"cluster: {config.kind} cannot be started: {reason}") from error


_TALKATIVE = ("asyncssh", "dask_jobqueue", "dask_kubernetes", "kr8s", "httpx", "tornado.application", "asyncio")


class _Said(logging.Handler):
    """The last error that a library only logged: what a queue said of a job, above all."""

    last: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.exc_info and record.exc_info[1] is not None:
            self.last = record.exc_info[1]


@contextmanager
def _quiet() -> Iterator[_Said]:
    """The libraries' failures reach the user through us, once."""
    said = _Said()
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(said)
        logger.propagate = False
    try:
        yield said
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(said)
            logger.propagate = propagate


def _await_workers(client: Client, config: StartedCluster, said: _Said) -> None:
    until = time.monotonic() + config.wait
    while True:
        try:
            client.wait_for_workers(1, timeout=min(_LOOK, config.wait))
            return
        except TimeoutError as error:
            if said.last is not None:
                reason = " ".join(str(said.last).split())
                raise ClusterError(f"cluster: {config.kind} cannot start workers: {reason}") from said.last
            if time.monotonic() > until:
                where = getattr(config, "log_directory", None)
                raise NoWorkers(
                    f"cluster: no {config.kind} worker came within {config.wait:g} s; look at the queue"
                    f"{f' and into {where}' if where else ''}, or give a longer cluster.wait"
                ) from error
