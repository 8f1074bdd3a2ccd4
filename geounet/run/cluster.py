"""Who computes: the user's scheduler, a cluster started for the run, local processes, or threads of this one."""

from __future__ import annotations

import logging
import multiprocessing.spawn
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import distributed
from dask import config as dask_config
from distributed import Client, LocalCluster
from distributed.gc import disable_gc_diagnosis

from geounet.run.dispatch import ATTEMPTS

if TYPE_CHECKING:
    from geounet.run.cluster_config import ClusterConfig, StartedCluster

_CONNECT = "20s"
_WORKER_PROCESS = "Dask Worker process"  # what a nanny calls its own (distributed/nanny.py)
_LOOPBACK = "127.0.0.1:0"


@dataclass(frozen=True, kw_only=True)
class _Who:
    """Who computes: at most one of the three; a cluster without a kind belongs to the scheduler."""

    workers: int
    scheduler: str | None
    cluster: ClusterConfig | None

    @property
    def least_workers(self) -> int:
        """Workers that are there while all is well."""
        here = self.local_cluster
        return max(1, self.workers) if here is None else here.least_workers

    @property
    def local_cluster(self) -> StartedCluster | None:
        """The section, where it is about processes of this machine."""
        here = self.cluster is not None and self.cluster.kind == "local"
        return cast("StartedCluster", self.cluster) if here else None


class _Kept:
    """The cluster that several runs use, one after the other."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._client: Client | None = None
        self._of: _Who | None = None

    def client(self, who: _Who) -> Client:
        """The client of before, where it is of the same kind and all its workers live; else a new one."""
        if self._client is None or self._of != who or not self._is_whole(self._client, who.least_workers):
            self.close()
            self._client = self._stack.enter_context(_opened(who))
            self._of = who
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
def connect(
    *, workers: int, scheduler: str | None = None, cluster: ClusterConfig | None = None
) -> Iterator[Client]:
    """A client of the user's scheduler, of a cluster that is started, of local processes, or of threads here.

    Of what is local, nothing listens on other than loopback. Raises ClusterError where the scheduler does not
    answer or the cluster cannot be started.
    """
    who = _Who(workers=workers, scheduler=scheduler, cluster=cluster)
    if _kept is not None:
        yield _kept.client(who)
        return
    with _opened(who) as client:
        yield client


@contextmanager
def _opened(who: _Who) -> Iterator[Client]:
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
    with dask_config.set(settings), _silent_logs(), _without_the_callers_program(), _reached(who) as client:
        # Dask times full garbage collections in a callback, where a Ctrl-C is printed and forgotten.
        disable_gc_diagnosis(force=True)
        yield client


def _reached(who: _Who) -> AbstractContextManager[Client]:
    if who.scheduler is not None:
        from geounet.run.scheduler import external

        return external(who.scheduler, who.cluster.tls if who.cluster is not None else None)
    if who.cluster is not None and who.local_cluster is None:
        from geounet.run.started import started

        return started(cast("StartedCluster", who.cluster))
    return _local(who)


@contextmanager
def _local(who: _Who) -> Iterator[Client]:
    """Processes of this machine, or threads of this process."""
    config = who.local_cluster
    workers = who.workers if config is None else config.least_workers
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
        if config is not None:
            from geounet.run.adapting import adapt

            adapt(cluster, config)
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
