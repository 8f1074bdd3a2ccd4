"""Clusters that geounet starts: what is handed in, what is refused, and real ones where they can be had."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from packages import hashes
from processes import Case, start

import geounet
from geounet.config import build_options, load_config
from geounet.errors import ConfigError, MissingExtraError, WorkError
from geounet.run.cluster_config import KubernetesConfig, QueueConfig, SshConfig, read_cluster

QUEUE = {"threads": 4, "memory": "8GiB"}
SSH = {"kind": "ssh", "hosts": ["a", "b"]}
KUBERNETES = {
    "kind": "kubernetes",
    **QUEUE,
    "image": "maps:1",
    "claims": {"/srv/scenes": "scenes", "/srv/maps": "maps"},
}


def read(**section: Any) -> Any:
    return read_cluster(section, where="run.yaml")


# --- what is refused, in one line -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster": {"kind": "slum", **QUEUE}}, r"cluster.kind: 'slum'; expected one of local, ssh, slurm, pbs"),
        ({"cluster": {"kind": "local", "thread": 2}}, "unknown key 'thread'; did you mean 'threads'"),
        (
            {"cluster": {"kind": "ssh", "hosts": "a", "queue": "x"}},
            "cluster.queue: is for kind slurm and pbs, not for",
        ),
        ({"cluster": {"workers": 2}}, "cluster.workers: is for kind local"),
        ({"cluster": "slurm"}, "expected 'kind: local|ssh"),
        ({"cluster": {"kind": "slurm", "threads": 4}}, "memory: is required"),
        ({"cluster": {"kind": "slurm", **QUEUE, "memory": "lots"}}, "'lots'; expected a size such as 4GiB"),
        ({"cluster": {"kind": "slurm", **QUEUE, "walltime": "soon"}}, "'soon'; expected a length of time"),
        ({"cluster": {"kind": "local", "workers": 2, "adapt": {"maximum": 3}}}, "workers and adapt given"),
        ({"cluster": {"kind": "local", "adapt": {"minimum": 4, "maximum": 3}}}, "minimum 4 is more than maximum 3"),
        ({"cluster": {"kind": "ssh", "hosts": "a", "workers": 2}}, "workers given; expected hosts and per_host"),
        ({"cluster": {**KUBERNETES, "name": "A b"}}, "name: String should match"),
        ({"cluster": {"kind": "local"}, "workers": 2}, "--workers 2 and cluster.kind local exclude each other"),
        (
            {"cluster": {"kind": "local"}, "scheduler": "tcp://a:1"},
            "--scheduler tcp://a:1 and cluster.kind local exclude",
        ),
        (
            {"cluster": {"tls": {"ca": "a", "cert": "b", "key": "c"}}},
            "holds the certificates of --scheduler tls://",
        ),
        ({"cluster": {"kind": "local", "threads": 2}, "threads": 4}, "--threads 4 and cluster.threads 2"),
        ({"cluster": {"kind": "slurm", **QUEUE}, "memory": "16GiB"}, "--memory .* is more than cluster.memory"),
        ({"cluster": {"kind": "slurm", **QUEUE, "gpu": True}, "device": "cpu"}, "--device cpu and cluster.gpu"),
        ({"cluster": {"kind": "slurm", **QUEUE}, "device": "cuda"}, "--device cuda: expected cluster.gpu true"),
        ({"workers": 2, "scheduler": "tcp://a:1"}, "--workers and --scheduler exclude each other"),
    ],
)
def test_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        build_options({}, options)
    assert "\n" not in str(caught.value)


def test_the_file_is_named_and_a_schedule_says_where_the_section_belongs(tmp_path: Path) -> None:
    from geounet.schedule.config import load_schedule

    file = tmp_path / "run.yaml"
    file.write_text("cluster: {kind: local, worker: 2}\n")
    with pytest.raises(ConfigError, match=r"run\.yaml: cluster: .*did you mean 'workers'"):
        load_config(file)
    base = "source: {folder: .}\ndestination: maps/{scene}\n"
    file.write_text(base + "infer: {cluster: {kind: local, worker: 2}}\n")
    with pytest.raises(ConfigError, match=r"run\.yaml: infer: cluster: .*did you mean 'workers'"):
        load_schedule(file)
    file.write_text(base + "cluster: {kind: local}\n")
    with pytest.raises(ConfigError, match="expected it below infer:"):
        load_schedule(file)
    file.write_text(base + "infer: {cluster: {kind: local, workers: 2}}\n")
    config = load_schedule(file)
    assert config.options.processes == 2
    file.write_text(base)
    assert config.recipe("m", {}) == load_schedule(file).recipe("m", {}), "who computes changes no result"


@pytest.mark.parametrize(
    ("section", "module", "extra"),
    [
        (SSH, "asyncssh", "ssh"),
        ({"kind": "pbs", **QUEUE}, "dask_jobqueue", "jobqueue"),
        (KUBERNETES, "dask_kubernetes", "kubernetes"),
    ],
)
def test_an_absent_extra_is_one_line(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: dict[str, Any], module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # what Python itself takes for: not there
    with pytest.raises(MissingExtraError, match=rf"cluster.kind {section['kind']} needs .*'geounet\[{extra}\]'"):
        infer(case, tmp_path, cluster=section)


def infer(case: Case, output: Path, **more: Any) -> geounet.Run:
    options = {**case.options(output, **more)}
    if "threads" in (more.get("cluster") or {}):
        del options["threads"]
    return geounet.infer(options.pop("scene"), **options)


# --- this machine ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_of_this_machine_come_and_go() -> None:
    """One at first, two while there is work for them, then one again, and none at the end."""
    from geounet.run.cluster import connect

    def workers() -> int:
        return len(client.scheduler_info(n_workers=-1)["workers"])

    section = read(kind="local", threads=1, adapt={"minimum": 1, "maximum": 2})
    with connect(workers=0, cluster=section) as client:
        assert workers() == 1
        waiting = client.map(time.sleep, [2.0] * 4, pure=False)
        client.wait_for_workers(2, timeout=120)
        client.gather(waiting)
        deadline = time.monotonic() + 240
        while workers() > 1:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        pids = list(client.run(os.getpid).values())
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


@pytest.mark.slow
def test_a_run_on_workers_of_this_machine(case: Case, tmp_path: Path) -> None:
    infer(case, tmp_path, cluster={"kind": "local", "threads": 1, "workers": 2}, block=150)
    assert hashes(tmp_path) == case.undisturbed


# --- batch systems --------------------------------------------------------------------------------------------


def job_script(tmp_path: Path, security: Any = None, **section: Any) -> str:
    pytest.importorskip("dask_jobqueue", reason="the extra jobqueue is not installed")
    from geounet.run.queue_cluster import queue_cluster

    config = read(**section)
    assert isinstance(config, QueueConfig)
    cluster = queue_cluster(config, security)
    try:
        return re.sub(r"(tcp|tls)://\S+", "ADDRESS", cluster.job_script())
    finally:
        cluster.close()


def test_the_job_of_slurm(tmp_path: Path) -> None:
    """What dask-jobqueue hands in, line for line."""
    script = job_script(
        tmp_path,
        kind="slurm",
        **QUEUE,
        walltime="2h",
        queue="gpu",
        account="maps",
        gpu=True,
        directives="--constraint=avx512",
        prologue=["module load gcc"],
        python="/opt/geounet/bin/python",
        log_directory=str(tmp_path / "logs"),
        scratch="/scratch",
    )
    assert script.split("\n") == [
        "#!/usr/bin/env bash",
        "",
        "#SBATCH -J geounet-worker",
        f"#SBATCH -e {tmp_path}/logs/geounet-worker-%J.err",
        f"#SBATCH -o {tmp_path}/logs/geounet-worker-%J.out",
        "#SBATCH -p gpu",
        "#SBATCH -A maps",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=8G",
        "#SBATCH -t 02:00:00",
        "#SBATCH --gres=gpu:1",
        "#SBATCH --constraint=avx512",
        "module load gcc",
        "/opt/geounet/bin/python -m distributed.cli.dask_worker ADDRESS --name dummy-name --nthreads 4 "
        "--memory-limit 8.00GiB --nanny --death-timeout 60 --local-directory /scratch --no-dashboard "
        "--memory-limit 0 --resources GPU=1",
        "",
    ]


def test_the_job_of_pbs(tmp_path: Path) -> None:
    script = job_script(tmp_path, kind="pbs", **QUEUE, walltime="12:30:00", gpu=True, python="python")
    assert script.split("\n") == [
        "#!/usr/bin/env bash",
        "",
        "#PBS -N geounet-worker",
        "#PBS -l select=1:ncpus=4:ngpus=1:mem=8192MB",
        "#PBS -l walltime=12:30:00",
        "",
        "python -m distributed.cli.dask_worker ADDRESS --name dummy-name --nthreads 4 --memory-limit 8.00GiB "
        "--nanny --death-timeout 60 --no-dashboard --memory-limit 0 --resources GPU=1",
        "",
    ]


def test_dask_takes_the_worker_s_options(tmp_path: Path) -> None:
    """The last of two memory limits counts: geounet watches memory itself."""
    from distributed.cli import dask_worker

    line = job_script(tmp_path, kind="slurm", **QUEUE, gpu=True).strip().split("\n")[-1].split()
    given = dask_worker.main.make_context("worker", line[line.index("ADDRESS") :]).params
    assert given["memory_limit"] == "0"
    assert given["resources"] == "GPU=1"
    assert given["nthreads"] == 4


def test_a_site_s_own_way_to_ask_for_a_gpu_and_tls(tmp_path: Path) -> None:
    from test_tls import make_certificates

    from geounet.run.scheduler import security_of

    files = make_certificates(tmp_path / "tls")
    section = {"kind": "slurm", **QUEUE, "gpu": True, "directives": "--gpus-per-node=a100:1", "tls": files}
    script = job_script(tmp_path, security_of(read(**section).tls), **section)
    assert "--gres" not in script
    assert f"--tls-ca-file {files['ca']} --tls-cert {files['cert']} --tls-key {files['key']}" in script


SBATCH = """#!/bin/sh
# stands in for SLURM's: runs a copy of the job script here, and says the number of the job
cp "$1" "$STANDIN/$$.sh"
setsid sh "$STANDIN/$$.sh" >>"$STANDIN/jobs.log" 2>&1 &
echo $! >>"$STANDIN/jobs"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
echo "$1" >>"$STANDIN/cancelled"
kill -TERM -- "-$1"
"""


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``sbatch`` and ``scancel`` that run jobs on this machine; all else is real."""
    pytest.importorskip("dask_jobqueue", reason="the extra jobqueue is not installed")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN", str(folder))
    return folder


JOBS = {"kind": "slurm", "threads": 1, "memory": "1GiB", "interface": "lo", "wait": "2m"}


def ended(folder: Path) -> bool:
    """Whether no process of any job is left."""
    groups = {int(line) for line in (folder / "jobs").read_text().split()}
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if not [p for p in psutil.process_iter() if _group(p) in groups]:
            return True
        time.sleep(0.2)
    return False


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else -1
    except (ProcessLookupError, psutil.Error):
        return -1


def test_a_run_on_jobs(case: Case, tmp_path: Path, standin: Path) -> None:
    """Handed in, used, cancelled."""
    infer(case, tmp_path / "out", cluster={**JOBS, "workers": 2})
    assert hashes(tmp_path / "out") == case.undisturbed
    assert len((standin / "jobs").read_text().split()) == 2
    assert ended(standin)


@pytest.mark.slow
def test_ctrl_c_ends_the_jobs(case: Case, tmp_path: Path, standin: Path) -> None:
    options = case.options(tmp_path / "out", cluster=JOBS, block=24)
    del options["threads"]
    process = start(options)
    process.wait_for(lambda: process.receipts() >= 2, seconds=400)
    process.popen.send_signal(signal.SIGINT)
    result = process.result(seconds=240)
    assert (result["exit"], result["error"]) == (130, "Interrupted")
    assert "Traceback" not in result["stderr"], result["stderr"]
    assert ended(standin)


@pytest.mark.slow
def test_a_job_that_never_starts_is_one_line(case: Case, tmp_path: Path, standin: Path) -> None:
    (standin / "sbatch").write_text("#!/bin/sh\necho Submitted batch job 999999999\n")
    with pytest.raises(WorkError, match=r"no slurm worker came within 2 s; look at the queue and into .*logs, or"):
        infer(case, tmp_path / "out", cluster={**JOBS, "wait": "2s", "log_directory": str(tmp_path / "logs")})


@pytest.mark.slow
def test_a_queue_that_refuses_is_one_line(case: Case, tmp_path: Path, standin: Path) -> None:
    (standin / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    with pytest.raises(ConfigError, match=r"cluster: slurm cannot start workers: .*invalid partition") as caught:
        infer(case, tmp_path / "out", cluster=JOBS)
    assert "\n" not in str(caught.value)


# --- Kubernetes -----------------------------------------------------------------------------------------------


def documents(**more: Any) -> dict[str, Any]:
    pytest.importorskip("dask_kubernetes", reason="the extra kubernetes is not installed")
    from geounet.run.kubernetes import manifest

    config = read(**{**KUBERNETES, **more})
    assert isinstance(config, KubernetesConfig)
    return manifest(config, idle_timeout=4200)


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
def test_kubernetes_and_the_operator_take_the_manifest(version: str) -> None:
    import dask_kubernetes.operator
    import jsonschema
    import kubernetes_validate
    import yaml

    made = documents(gpu=True, node_selector={"pool": "batch"}, workers=3)
    for part in ("scheduler", "worker"):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part}, "spec": made["spec"][part]["spec"]}
        kubernetes_validate.validate(pod, version, strict=True)
    spec = made["spec"]["scheduler"]["service"]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}
    kubernetes_validate.validate(service, version, strict=True)
    file = Path(dask_kubernetes.operator.__file__).parent / "customresources" / "templates.yaml"
    text = re.sub(r"python://dask_kubernetes/[^#]*#", "#", file.read_text())
    text = re.sub(r"\$ref: 'python://k8s_crd_resolver/[^']*'", "type: object", text)  # pods and services: above
    schema = {**yaml.safe_load(text), "$ref": "#/definitions/dask.k8s.api.v1.DaskCluster"}
    jsonschema.validate(made, schema)
    broken = {**made, "spec": {**made["spec"], "worker": {**made["spec"]["worker"], "replicas": "three"}}}
    with pytest.raises(jsonschema.ValidationError, match="three"):
        jsonschema.validate(broken, schema)


def test_what_the_pods_may_and_do() -> None:
    from distributed.cli import dask_scheduler, dask_worker

    made = documents(gpu=True, adapt={"minimum": 2, "maximum": 9})
    assert made["metadata"]["name"] != documents()["metadata"]["name"], "two runs at a time"
    assert made["spec"]["worker"]["replicas"] == 2
    for part, command in (("scheduler", dask_scheduler.main), ("worker", dask_worker.main)):
        pod = made["spec"][part]["spec"]
        (container,) = pod["containers"]
        assert container["command"] == ["dask", part]
        command.make_context(part, list(container["args"]))
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {m["mountPath"] for m in container["volumeMounts"]} == {"/tmp", "/srv/scenes", "/srv/maps"}
        assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
        assert container["resources"]["limits"]["memory"]
    (worker,) = made["spec"]["worker"]["spec"]["containers"]
    assert worker["resources"]["limits"] == {"memory": str(8 * 2**30), "nvidia.com/gpu": "1"}
    assert "GPU=1" in worker["args"]


def test_no_cluster_to_be_reached_is_one_line(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_kubernetes", reason="the extra kubernetes is not installed")
    closed = socket.socket()  # nobody listens on it, and while we have it nobody else can
    closed.bind(("127.0.0.1", 0))
    server = f"https://127.0.0.1:{closed.getsockname()[1]}"
    file = tmp_path / "kubeconfig"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        f"clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    with closed, pytest.raises(ConfigError, match="cluster: kubernetes cannot be started") as caught:
        infer(case, tmp_path / "out", cluster=KUBERNETES)
    assert "\n" not in str(caught.value)


# --- SSH ------------------------------------------------------------------------------------------------------


def test_each_worker_of_a_host_has_its_own_gpu() -> None:
    from geounet.run.ssh_cluster import ssh_specification

    config = read(**SSH, per_host=2, gpu=True, threads=3, user="maps", identity="/keys/maps", interface="ib0")
    assert isinstance(config, SshConfig)
    scheduler, workers = ssh_specification(config, None)
    assert scheduler["options"]["address"] == "a"
    assert scheduler["options"]["kwargs"]["interface"] == "ib0"
    assert list(workers) == ["a-0", "a-1", "b-0", "b-1"]
    options = workers["b-1"]["options"]
    assert options["address"] == "b"
    assert options["connect_options"] == {"port": 22, "username": "maps", "client_keys": ["/keys/maps"]}
    assert options["kwargs"]["env"] == {"CUDA_VISIBLE_DEVICES": "1"}
    assert options["kwargs"]["resources"] == {"GPU": 1}
    assert options["kwargs"]["nthreads"] == 3


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A real SSH server on loopback that lets one key in; the keys of a ``cluster`` section that reach it."""
    pytest.importorskip("asyncssh", reason="the extra ssh is not installed")
    server = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if server is None:
        pytest.skip("no sshd on this machine")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "authorized").write_text((tmp_path / "user.pub").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": tmp_path / "host",
        "PidFile": "none",
        "AuthorizedKeysFile": tmp_path / "authorized",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "SetEnv": f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}",
    }
    (tmp_path / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=stat.S_IRWXU, exist_ok=True)  # for privilege separation
    process = subprocess.Popen([server, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL)
    key = (tmp_path / "host.pub").read_text().split()[:2]
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {' '.join(key)}\n")
    _await_port(port)
    try:
        yield {
            "kind": "ssh",
            "hosts": ["127.0.0.1"],
            "port": port,
            "user": getpass.getuser(),
            "identity": str(tmp_path / "user"),
            "known_hosts": str(tmp_path / "known"),
            "interface": "lo",
            "threads": 1,
        }
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("sshd does not listen")


def remote_daskers() -> list[psutil.Process]:
    """Schedulers and workers that were started over SSH."""
    found = []
    for process in psutil.process_iter():
        try:
            if "distributed.cli.dask_spec" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
def test_a_run_over_ssh_with_tls(case: Case, tmp_path: Path, sshd: dict[str, Any]) -> None:
    """A scheduler and two workers, all encrypted; none is left."""
    from test_tls import make_certificates

    before = set(remote_daskers())
    tls = make_certificates(tmp_path / "tls")
    infer(case, tmp_path / "out", cluster={**sshd, "per_host": 2, "tls": tls})
    assert hashes(tmp_path / "out") == case.undisturbed
    _, alive = psutil.wait_procs(set(remote_daskers()) - before, timeout=120)
    assert not alive


@pytest.mark.slow
def test_a_host_whose_key_is_not_known_is_refused(case: Case, tmp_path: Path, sshd: dict[str, Any]) -> None:
    (tmp_path / "known").write_text("")
    with pytest.raises(ConfigError, match=r"cluster: ssh cannot be started: .*[Hh]ost key") as caught:
        infer(case, tmp_path / "out", cluster=sshd)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_host_without_geounet_s_python_is_one_line(case: Case, tmp_path: Path, sshd: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"cluster: ssh cannot be started: .*is /nowhere/python there"):
        infer(case, tmp_path / "out", cluster={**sshd, "python": "/nowhere/python"})
