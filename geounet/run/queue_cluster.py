"""Clusters as jobs of SLURM or PBS, by dask-jobqueue."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from distributed.security import Security

from geounet.run.adapting import adapt
from geounet.run.cluster_config import QueueConfig, StartedCluster

_LOOPBACK = "127.0.0.1:0"


def start_in_queue(config: StartedCluster, security: Security | None) -> Any:
    """A scheduler in this process, and jobs that are its workers."""
    assert isinstance(config, QueueConfig)
    cluster = queue_cluster(config, security)
    try:
        cluster.scale(config.least_workers)
        adapt(cluster, config)
    except BaseException:
        with suppress(Exception):
            cluster.close()
        raise
    return cluster


def queue_cluster(config: QueueConfig, security: Security | None = None) -> Any:
    """The cluster of dask-jobqueue, which has asked for no job yet; ``job_script()`` shows what it will hand in."""
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


def worker_arguments(config: StartedCluster) -> list[str]:
    """Options of ``dask worker`` for one process whose memory is watched by geounet, not by Dask."""
    return ["--no-dashboard", "--memory-limit", "0", *(["--resources", "GPU=1"] if config.gpu else [])]


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
