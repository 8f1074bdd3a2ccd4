"""Clusters over SSH, by what ``distributed.SSHCluster`` is made of."""

from __future__ import annotations

import sys
from typing import Any

import distributed
from dask import config as dask_config
from distributed.security import Security

from geounet.errors import ConfigError
from geounet.run.cluster_config import SshConfig, StartedCluster


def start_over_ssh(config: StartedCluster, security: Security | None) -> Any:
    """A scheduler on one host and workers on all of them. Raises ConfigError where one cannot be started."""
    assert isinstance(config, SshConfig)
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
            "kwargs": {**listening, "port": 0, "dashboard": False, "idle_timeout": config.orphaned_after},
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
