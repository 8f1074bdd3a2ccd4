"""The manifests hold to Kubernetes' own schemas, and what they name fits together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from installed import WORKFLOWS, parse_geounet

from geounet.schedule.config import load_schedule

FILES = sorted((WORKFLOWS / "kubernetes").glob("*.yaml"))
VERSIONS = ("1.29", "1.33", "1.37")


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def named(file: str, kind: str, name: str = "") -> dict[str, Any]:
    found = [
        d
        for d in documents(WORKFLOWS / "kubernetes" / file)
        if d["kind"] == kind and d["metadata"]["name"].endswith(name)
    ]
    assert len(found) == 1
    return found[0]


def pods() -> dict[str, dict[str, Any]]:
    """Every pod template by its owner."""
    return {
        "run": named("cronjob.yaml", "CronJob")["spec"]["jobTemplate"]["spec"]["template"],
        "scheduler": named("dask-cluster.yaml", "Deployment", "scheduler")["spec"]["template"],
        "worker": named("dask-cluster.yaml", "Deployment", "worker")["spec"]["template"],
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_kubernetes_takes_the_manifests(file: Path, version: str):
    for document in documents(file):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schema_refuses_a_key_that_does_not_exist():
    job = named("cronjob.yaml", "CronJob")
    job["spec"]["concurencyPolicy"] = job["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError, match="concurencyPolicy"):
        kubernetes_validate.validate(job, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("owner", ["run", "scheduler", "worker"])
def test_pods_are_nobody_and_write_where_they_may(owner: str):
    spec = pods()[owner]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["automountServiceAccountToken"] is False
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
        assert container["resources"]["limits"]["memory"]


def test_a_job_is_tried_again_by_the_next_look_only():
    job = named("cronjob.yaml", "CronJob")["spec"]
    assert job["concurrencyPolicy"] == "Allow"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert job["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_the_job_runs_a_schedule_that_geounet_takes(tmp_path: Path):
    config = named("cronjob.yaml", "ConfigMap")
    (container,) = pods()["run"]["spec"]["containers"]
    given = parse_geounet(container["args"])
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    folder, name = str(given["config"]).rsplit("/", 1)
    assert mounts[folder]["readOnly"]
    (tmp_path / name).write_text(config["data"][name], encoding="utf-8")
    schedule = load_schedule(tmp_path / name)
    assert schedule.ledger.startswith("postgresql://"), "jobs land on several nodes"
    assert str(schedule.source.folder) in mounts
    assert str(schedule.root).rstrip("/") in mounts
    assert not mounts[str(schedule.root).rstrip("/")].get("readOnly")
    assert schedule.options.memory is not None
    assert schedule.options.memory < _bytes(container["resources"]["limits"]["memory"])


def test_the_job_can_use_the_cluster(tmp_path: Path):
    """The remark in the schedule names the scheduler's service, and both mount the same paths."""
    text = named("cronjob.yaml", "ConfigMap")["data"]["schedule.yaml"].replace("# scheduler:", "scheduler:")
    (tmp_path / "schedule.yaml").write_text(text, encoding="utf-8")
    service = named("dask-cluster.yaml", "Service")
    address = f"tcp://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert load_schedule(tmp_path / "schedule.yaml").options.scheduler == address
    worker = pods()["worker"]["spec"]["containers"][0]
    assert worker["args"][0] == address
    job = pods()["run"]["spec"]["containers"][0]
    shared = [{m["mountPath"] for m in c["volumeMounts"] if "srv" in m["mountPath"]} for c in (worker, job)]
    assert shared[0] == shared[1]
    assert worker["image"] == job["image"]


def test_services_deployments_and_the_policy_meet_their_pods():
    policy = named("dask-cluster.yaml", "NetworkPolicy")["spec"]
    allowed = policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"].items()
    for owner, pod in pods().items():
        assert allowed <= pod["metadata"]["labels"].items(), owner
    for owner in ("scheduler", "worker"):
        deployment = named("dask-cluster.yaml", "Deployment", owner)
        labels = pods()[owner]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        for rule in policy["podSelector"]["matchExpressions"]:
            assert labels[rule["key"]] in rule["values"]
    assert named("dask-cluster.yaml", "Service")["spec"]["selector"] == pods()["scheduler"]["metadata"]["labels"]


def test_dask_takes_its_options():
    from distributed.cli import dask_scheduler, dask_worker

    for owner, command in (("scheduler", dask_scheduler.main), ("worker", dask_worker.main)):
        container = pods()[owner]["spec"]["containers"][0]
        assert container["command"] == ["dask", owner]
        command.make_context(owner, list(container["args"]))


def _bytes(quantity: str) -> int:
    from geounet.config import parse_size

    return int(parse_size(quantity + "B"))
