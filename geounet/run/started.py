"""Clusters that geounet starts for a run and closes after it, by the libraries that know how."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

import distributed
from dask import config as dask_config
from distributed import Client
from distributed.security import Security

from geounet.errors import ConfigError, GeounetError, MissingExtraError, WorkError
from geounet.run.cluster_config import KubernetesConfig, QueueConfig, SshConfig, StartedCluster
from geounet.run.scheduler import security_of

_LOOPBACK = "127.0.0.1:0"
_ORPHANED = 3600  # seconds without a task after which a scheduler elsewhere ends itself: we may have been killed

_LOOK = 2.0  # seconds between looks whether a library has told of a failure while it waits for workers

_closing = 0


def is_closing() -> bool:
    """Whether a cluster is there that has to be closed before the process may go."""
    return _closing > 0


@contextmanager
def started(config: StartedCluster) -> Iterator[Client]:
    """Start a cluster on other machines; a client of it, once a worker has come.

    Raises MissingExtraError without the library, ConfigError where it cannot be started, WorkError where no worker
    comes. The cluster is closed at the end of the body, however that ends.
    """
    global _closing  # noqa: PLW0603  asked by whoever ends the process
    start = _LIBRARIES[str(config.kind)]
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
        raise ConfigError(f"cluster: {config.kind} cannot be started: {reason}") from error


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
                raise ConfigError(f"cluster: {config.kind} cannot start workers: {reason}") from said.last
            if time.monotonic() > until:
                where = getattr(config, "log_directory", None)
                raise WorkError(
                    f"cluster: no {config.kind} worker came within {config.wait:g} s; look at the queue"
                    f"{f' and into {where}' if where else ''}, or give a longer cluster.wait"
                ) from error


class _ByBlocks(distributed.Adaptive):
    """As many workers as blocks are in flight. Each has two while more wait here, so that their number doubles.

    Dask's own target divides tasks by threads, for tasks that compute on one, and sees nothing of the backlog.
    """

    async def target(self) -> int:
        """Workers that there should be."""
        return sum(len(worker.processing) for worker in self.cluster.scheduler.workers.values())


def adapt(cluster: Any, config: StartedCluster) -> None:
    """Let workers of a scheduler in this process come and go, where that was asked for."""
    if config.adapt is not None:
        cluster.adapt(Adaptive=_ByBlocks, minimum=config.adapt.minimum, maximum=config.adapt.maximum)


def worker_arguments(config: StartedCluster) -> list[str]:
    """Options of ``dask worker`` for one process whose memory is watched by geounet, not by Dask."""
    return ["--no-dashboard", "--memory-limit", "0", *(["--resources", "GPU=1"] if config.gpu else [])]


# --- SSH ------------------------------------------------------------------------------------------------------


def _ssh(config: StartedCluster, security: Security | None) -> Any:
    assert isinstance(config, SshConfig)
    _need("asyncssh", "asyncssh", "ssh", config)
    scheduler, workers = ssh_specification(config, security)
    try:
        with dask_config.set(_tls_settings(security)):  # SSHCluster sends Dask's configuration along
            return distributed.SpecCluster(workers, scheduler, name="geounet-ssh", security=security or Security())
    except Exception as error:
        if "failed to start" not in str(error).removeprefix("Cluster failed to start"):
            raise
        python = config.python or sys.executable  # Dask does not pass on what the host said
        raise ConfigError(
            f"cluster: ssh cannot be started: {error}; is {python} there, with geounet, on every host?"
        ) from error


def ssh_specification(config: SshConfig, security: Security | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``distributed.SSHCluster`` makes of hosts, but with options of each worker's own: name and GPU."""
    from distributed.deploy import ssh

    listening = {"protocol": "tls://" if security is not None else "tcp://", "interface": config.interface}
    shared = {"connect_options": _ssh_options(config), "remote_python": config.python or sys.executable}
    scheduler = {
        "cls": ssh.Scheduler,
        "options": {
            **shared,
            "address": config.scheduler_host or config.hosts[0],
            "kwargs": {**listening, "port": 0, "dashboard": False, "idle_timeout": _ORPHANED + round(config.wait)},
        },
    }
    workers = {}
    for host in config.hosts:
        for number in range(config.per_host):
            own: dict[str, Any] = {"name": f"{host}-{number}", **listening, "memory_limit": 0, "death_timeout": 60}
            own |= {"dashboard": False, **({} if config.threads is None else {"nthreads": config.threads})}
            if config.gpu:
                own |= {"env": {"CUDA_VISIBLE_DEVICES": str(number)}, "resources": {"GPU": 1}}
            workers[own["name"]] = {
                "cls": ssh.Worker,
                "options": {**shared, "address": host, "worker_class": "distributed.Nanny", "kwargs": own},
            }
    return scheduler, workers


def _ssh_options(config: SshConfig) -> dict[str, Any]:
    """Keywords of ``asyncssh.connect``."""
    options: dict[str, Any] = {"port": config.port}
    if config.user is not None:
        options["username"] = config.user
    if config.identity is not None:
        options["client_keys"] = [str(config.identity)]
    if config.known_hosts is not None:
        options["known_hosts"] = str(config.known_hosts)
    return options


def _tls_settings(security: Security | None) -> dict[str, Any]:
    """Dask's configuration for these certificates, as a process on another machine reads it."""
    if security is None:
        return {}
    files = {"ca-file": security.tls_ca_file}
    for role in ("client", "scheduler", "worker"):
        files |= {f"{role}.{kind}": getattr(security, f"tls_{role}_{kind}") for kind in ("cert", "key")}
    return {"distributed.comm.require-encryption": True} | {
        f"distributed.comm.tls.{name}": value for name, value in files.items()
    }


# --- SLURM and PBS --------------------------------------------------------------------------------------------


def _queue(config: StartedCluster, security: Security | None) -> Any:
    assert isinstance(config, QueueConfig)
    cluster = queue_cluster(config, security)
    try:
        cluster.scale(config.least_workers)
        adapt(cluster, config)
    except BaseException:
        _close(cluster)
        raise
    return cluster


def queue_cluster(config: QueueConfig, security: Security | None = None) -> Any:
    """The cluster of dask-jobqueue, which has asked for no job yet; ``job_script()`` shows what it will hand in."""
    _need("dask_jobqueue", "dask-jobqueue", "jobqueue", config)
    with _own_ctrl_c():
        import dask_jobqueue

    kind = {"slurm": dask_jobqueue.SLURMCluster, "pbs": dask_jobqueue.PBSCluster}[config.kind]
    extra = {} if config.kind == "slurm" else {"resource_spec": _pbs_resources(config)}
    return kind(
        n_workers=0,
        processes=1,
        cores=config.threads,
        memory=f"{config.memory}B",
        queue=config.queue,
        account=config.account,
        walltime=config.clock,
        job_name="geounet-worker",
        job_extra_directives=[*_gpu_of_slurm(config), *config.directives],
        job_script_prologue=list(config.prologue),
        worker_extra_args=worker_arguments(config),
        python=config.python,
        log_directory=None if config.log_directory is None else str(config.log_directory),
        local_directory=None if config.scratch is None else str(config.scratch),
        interface=config.interface,
        scheduler_options={"dashboard_address": _LOOPBACK},
        security=security,
        silence_logs=logging.CRITICAL,
        **extra,
    )


@contextmanager
def _own_ctrl_c() -> Iterator[None]:
    """Importing dask-jobqueue 0.9 makes Ctrl-C a sys.exit() (its runner.py), exit code 0; that is undone."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGINT, before)


def _gpu_of_slurm(config: QueueConfig) -> list[str]:
    """SLURM shows a job the GPUs that it asked for, and no other. A site's own way to ask goes before ours."""
    own = any("gres" in line or "gpus" in line for line in config.directives)
    return ["--gres=gpu:1"] if config.gpu and config.kind == "slurm" and not own else []


def _pbs_resources(config: QueueConfig) -> str:
    memory = f"{-(-config.memory // 2**20)}MB"  # of PBS a MB is 2**20 bytes
    return f"select=1:ncpus={config.threads}{':ngpus=1' if config.gpu else ''}:mem={memory}"


# --- Kubernetes -----------------------------------------------------------------------------------------------


def _kubernetes(config: StartedCluster, _security: Security | None) -> Any:
    assert isinstance(config, KubernetesConfig)
    _need("dask_kubernetes", "dask-kubernetes", "kubernetes", config)
    from dask_kubernetes.operator import KubeCluster
    from dask_kubernetes.operator.kubecluster.kubecluster import CreateMode

    from geounet.run.kubernetes import manifest

    document = manifest(config, idle_timeout=_ORPHANED + round(config.wait))
    cluster = KubeCluster(
        custom_cluster_spec=document,
        namespace=config.namespace,
        create_mode=CreateMode.CREATE_ONLY,
        shutdown_on_close=True,
        quiet=True,
    )
    if config.adapt is not None:  # by the operator; geounet.run.kubernetes says how eagerly
        cluster.adapt(minimum=config.adapt.minimum, maximum=config.adapt.maximum)
    return cluster


def _need(module: str, library: str, extra: str, config: StartedCluster) -> None:
    if find_spec(module) is None:
        raise MissingExtraError(library, extra, f"cluster.kind {config.kind}")


_LIBRARIES: dict[str, Callable[[StartedCluster, Security | None], Any]] = {
    "ssh": _ssh,
    "slurm": _queue,
    "pbs": _queue,
    "kubernetes": _kubernetes,
}
