"""Clusters on Kubernetes: the manifest that Dask's own library makes, closed, with the scenes in it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from geounet.run.cluster_config import KubernetesConfig, StartedCluster

if TYPE_CHECKING:
    from distributed.security import Security

_CLOSED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_SCHEDULER = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}


def start_on_kubernetes(config: StartedCluster, _security: Security | None) -> Any:
    """A cluster of the operator of dask-kubernetes."""
    assert isinstance(config, KubernetesConfig)
    from dask_kubernetes.operator import KubeCluster
    from dask_kubernetes.operator.kubecluster.kubecluster import CreateMode

    document = manifest(config, idle_timeout=config.orphaned_after)
    cluster = KubeCluster(
        custom_cluster_spec=document,
        namespace=config.namespace,
        create_mode=CreateMode.CREATE_ONLY,
        shutdown_on_close=True,
        quiet=True,
    )
    if config.adapt is not None:  # by the operator; `manifest` says how eagerly
        cluster.adapt(minimum=config.adapt.minimum, maximum=config.adapt.maximum)
    return cluster


def manifest(config: KubernetesConfig, *, idle_timeout: int) -> dict[str, Any]:
    """A ``DaskCluster`` for Dask's operator (https://kubernetes.dask.org/en/latest/operator_resources.html).

    ``idle_timeout``: seconds without work after which the operator removes it, should nobody else. The image's
    own entry point is not used; pods run as nobody and see the claims at the same paths as the run does.
    """
    from dask_kubernetes.operator import make_cluster_spec

    made = make_cluster_spec(
        name=f"{config.name}-{uuid.uuid4().hex[:8]}",
        image=config.image,
        n_workers=config.least_workers,
        resources=None,
        env={},
        worker_command=["dask", "worker"],
        idle_timeout=idle_timeout,
    )
    scheduler, worker = made["spec"]["scheduler"]["spec"], made["spec"]["worker"]["spec"]
    _close(scheduler, config, _SCHEDULER)
    _close(worker, config, _resources(config))
    (first,), (second,) = scheduler["containers"], worker["containers"]
    first["command"], first["args"] = ["dask", "scheduler"], first["args"][1:]
    # the operator's autoscaler asks it how many workers there should be: as many as there are blocks in flight
    first["env"] = [{"name": "DASK_DISTRIBUTED__ADAPTIVE__TARGET_DURATION", "value": "1ms"}]
    second["command"], second["args"] = second["args"][:2], [*second["args"][2:], *_worker_arguments(config)]
    return made


def _worker_arguments(config: KubernetesConfig) -> list[str]:
    gpu = ["--resources", "GPU=1"] if config.gpu else []
    # not the tiles at a time, which the run tells, but blocks: one computes. The autoscaler divides them by threads
    blocks = "2" if config.adapt is None else "1"
    threads = ["--nworkers", "1", "--nthreads", blocks]
    return [*threads, "--memory-limit", "0", "--death-timeout", "60", "--local-directory", "/tmp", *gpu]  # noqa: S108


def _resources(config: KubernetesConfig) -> dict[str, Any]:
    """Cores are asked for and may be exceeded; memory and GPUs are not shared."""
    gpu = {"nvidia.com/gpu": "1"} if config.gpu else {}
    memory = {"memory": str(config.memory)}
    return {"requests": {"cpu": str(config.threads), **memory, **gpu}, "limits": {**memory, **gpu}}


def _close(pod: dict[str, Any], config: KubernetesConfig, resources: dict[str, Any]) -> None:
    """The pod may do what it needs: compute, read and write the claims, and leave things in /tmp."""
    user = config.user_id
    pod["automountServiceAccountToken"] = False
    pod["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if config.node_selector:
        pod["nodeSelector"] = dict(config.node_selector)
    pod["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    for number, (path, claim) in enumerate(config.claims.items()):
        pod["volumes"].append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": f"claim-{number}", "mountPath": path})
    for container in pod["containers"]:
        container |= {"resources": resources, "securityContext": _CLOSED, "volumeMounts": mounts}
        if not container["env"]:
            del container["env"]
