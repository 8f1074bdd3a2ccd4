"""Dask clusters: the user's scheduler, local processes, or threads of this process."""

from __future__ import annotations

import logging
import multiprocessing.spawn
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import distributed
from dask import config as dask_config
from distributed import Client, LocalCluster

from geounet.errors import ConfigError
from geounet.run.dispatch import ATTEMPTS

_CONNECT = "20s"
_KNOCK = 3.0  # seconds that a scheduler may take to accept a connection
_WORKER_PROCESS = "Dask Worker process"  # what a nanny calls its own (distributed/nanny.py)
_LOOPBACK = "127.0.0.1:0"


class _Kept:
    """The cluster that several runs use, one after the other."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._client: Client | None = None
        self._of: tuple[int, str | None] | None = None

    def client(self, workers: int, scheduler: str | None) -> Client:
        """The client of before, where it is of the same kind and all its workers live; else a new one."""
        if self._client is None or self._of != (workers, scheduler) or not self._is_whole(self._client, workers):
            self.close()
            self._client = self._stack.enter_context(_opened(workers, scheduler))
            self._of = (workers, scheduler)
        return self._client

    def _is_whole(self, client: Client, workers: int) -> bool:
        try:
            return client.status == "running" and len(client.scheduler_info(n_workers=-1)["workers"]) >= max(
                1, workers
            )
        except (OSError, RuntimeError, ValueError):
            return False

    def close(self) -> None:
        """End it."""
        self._client = None
        self._stack.close()


_kept: _Kept | None = None


@contextmanager
def one_cluster() -> Iterator[None]:
    """In the body, runs one after the other use one cluster: starting it takes longer than a small scene."""
    global _kept  # noqa: PLW0603  runs deep below ask for a cluster
    if _kept is not None:
        yield
        return
    _kept = _Kept()
    try:
        yield
    finally:
        kept, _kept = _kept, None
        kept.close()


@contextmanager
def connect(*, workers: int, scheduler: str | None) -> Iterator[Client]:
    """A client of the user's scheduler, of local processes, or of threads in this process.

    Nothing listens on other than loopback. Raises ConfigError where the scheduler does not answer.
    """
    if _kept is not None:
        yield _kept.client(workers, scheduler)
        return
    with _opened(workers, scheduler) as client:
        yield client


@contextmanager
def _opened(workers: int, scheduler: str | None) -> Iterator[Client]:
    settings = {
        "distributed.comm.timeouts.connect": _CONNECT,
        "distributed.worker.daemon": True,
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        # Dask looks after itself so often that it takes 4 % of a core from the network
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "5s",
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.worker.profile.enabled": False,
    }
    with dask_config.set(settings), _silent_logs(), _without_the_callers_program():
        if scheduler is not None:
            with _external(scheduler) as client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=max(1, workers),
                threads_per_worker=2,  # one block computes, the part of the one before is finished
                processes=workers > 0,
                memory_limit=None,
                host="127.0.0.1" if workers > 0 else None,
                dashboard_address=_LOOPBACK,  # None would not mean none, but port 8787 of all interfaces
                worker_dashboard_address=_LOOPBACK,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            if workers > 0:
                client.register_plugin(_DeafToCtrlC())
            yield client


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Dask's failures reach the user through us, once; a program that called us gets its own level back."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]  # both have a level
    levels = [logger.level for logger in loggers]
    asyncio = logging.getLogger("asyncio")
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    asyncio.addFilter(_is_no_exit)
    try:
        yield
    finally:
        asyncio.removeFilter(_is_no_exit)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _is_no_exit(record: logging.LogRecord) -> bool:
    """False for what Dask leaves unhandled when a result vanishes with its worker (``Client._gather``)."""
    return not (record.exc_info and record.exc_info[0] is not None and record.exc_info[0].__name__ == "AllExit")


@contextmanager
def _without_the_callers_program() -> Iterator[None]:
    """Worker processes do not run the program again that started them.

    Python's ``spawn`` imports the caller's main module in every new process, for functions that are defined there
    (https://docs.python.org/3/library/multiprocessing.html#the-spawn-and-forkserver-start-methods). A script
    without ``if __name__ == "__main__":`` would call us again in each worker, and end in a traceback. Nothing of
    ours lives there. The hook is undocumented; other processes of the caller's pass through it as before.
    """
    real = multiprocessing.spawn.get_preparation_data

    def prepared(name: str) -> dict[str, Any]:
        told = real(name)
        if name.startswith(_WORKER_PROCESS):
            told.pop("init_main_from_name", None)
            told.pop("init_main_from_path", None)
        return told

    multiprocessing.spawn.get_preparation_data = prepared
    try:
        yield
    finally:
        multiprocessing.spawn.get_preparation_data = real


class _DeafToCtrlC(distributed.WorkerPlugin):
    """A terminal sends Ctrl-C to the workers too; they are stopped by us, block by block, not by the terminal."""

    name = "geounet-deaf-to-ctrl-c"

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _external(address: str) -> Iterator[Client]:
    _knock(address)
    try:
        client = Client(address, set_as_default=False, timeout=_CONNECT)
    except (OSError, ValueError, TypeError) as error:
        raise _silent(address, error) from error
    try:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise ConfigError(f"--scheduler {address} has no workers; start some with: dask worker {address}")
        yield client
    finally:
        client.close()


def _knock(address: str) -> None:
    """ConfigError where nobody listens there; Dask itself would try for a long time, and complain afterwards."""
    try:
        place = urlsplit(address)
        host, port = place.hostname, place.port
    except ValueError as error:  # a port that is no number
        raise _silent(address, error) from error
    if place.scheme not in ("tcp", "tls") or host is None or port is None:
        raise _silent(address, ValueError("that is no address"))
    try:
        socket.create_connection((host, port), timeout=_KNOCK).close()
    except OSError as error:
        raise _silent(address, error) from error


def _silent(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"--scheduler {address} does not answer ({error}); expected tcp://host:port of a running dask scheduler"
    )
