"""The ``cluster:`` section: which cluster geounet starts for a run, and the certificates of one that is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from geounet.errors import ConfigError
from geounet.quantities import parse_duration, parse_size
from geounet.sections import Section, checked

Size = Annotated[int, BeforeValidator(parse_size)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda t: (t,) if isinstance(t, str) else t)]


def parse_walltime(value: object) -> float:
    """Seconds from ``12:00:00`` as well; YAML makes a number of seconds of it by itself, where it is not quoted."""
    parts = re.fullmatch(r"(?:(\d+):)?(\d\d?):(\d\d)", str(value))
    if parts is None:
        return parse_duration(value)
    return 3600.0 * int(parts[1] or 0) + 60.0 * int(parts[2]) + int(parts[3])


class TlsFiles(Section):
    """Certificates in PEM files; the certificate is shown to the others, the CA is what theirs must come from."""

    ca: Path
    cert: Path
    key: Path


class Adapt(Section):
    """Workers that come and go with the work that is left."""

    minimum: int = Field(default=1, ge=1)
    maximum: int = Field(ge=1)

    @model_validator(mode="after")
    def _check(self) -> Adapt:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is more than maximum {self.maximum}")
        return self


class ClusterConfig(Section):
    """Without ``kind``: what a scheduler that somebody else started asks for."""

    kind: str | None = None
    tls: TlsFiles | None = None


class StartedCluster(ClusterConfig):
    """A cluster that geounet starts, and closes when it is done."""

    workers: int = Field(default=1, ge=1)
    """Worker processes; each holds a network of its own."""
    adapt: Adapt | None = None
    """Instead of ``workers``."""
    threads: int | None = Field(default=None, ge=1)
    """Cores of a worker, and tiles that it computes at a time; None: all of its machine."""
    memory: Size | None = None
    """Bytes of a worker: what is asked of a queue or of Kubernetes. Its blocks may use a quarter, at most 1 GiB."""
    gpu: bool = False
    """Each worker has a GPU of its own."""
    wait: Duration = Field(default=600.0, gt=0)
    """How long the first worker may take to come."""

    @model_validator(mode="after")
    def _check(self) -> StartedCluster:
        if self.adapt is not None and "workers" in self.model_fields_set:
            raise ValueError("workers and adapt given; expected one of them")
        return self

    @property
    def least_workers(self) -> int:
        """Workers that there are to be at any time."""
        return self.workers if self.adapt is None else self.adapt.minimum

    @property
    def most_workers(self) -> int:
        """Workers that there may be at a time."""
        return self.workers if self.adapt is None else self.adapt.maximum

    @property
    def orphaned_after(self) -> int:
        """Seconds without a task after which a scheduler elsewhere ends itself: we may have been killed."""
        return 3600 + round(self.wait)


class LocalConfig(StartedCluster):
    """Processes of this machine."""

    kind: Literal["local"]

    @model_validator(mode="after")
    def _check_local(self) -> LocalConfig:
        if self.tls is not None:
            raise ValueError("tls is for other machines; local workers listen on loopback only")
        if self.adapt is not None and self.gpu:
            raise ValueError("gpu and adapt given; expected workers, as many as there are GPUs")
        return self


class SshConfig(StartedCluster):
    """Machines that are reached by SSH."""

    kind: Literal["ssh"]
    hosts: Texts = Field(min_length=1)
    """Each computes."""
    per_host: int = Field(default=1, ge=1)
    """Worker processes of each host; with ``gpu`` the n-th takes the n-th GPU."""
    scheduler_host: str | None = None
    """Where the scheduler runs; None: the first host."""
    user: str | None = None
    port: int = Field(default=22, ge=1, le=65535)
    """Of the SSH servers."""
    identity: Path | None = None
    """Private key; None: those of ~/.ssh and of the agent."""
    known_hosts: Path | None = None
    """Keys of the hosts; None: ~/.ssh/known_hosts. A host that is not in it is refused."""
    python: str | None = None
    """Python with geounet on the hosts; None: the same path as here."""
    interface: str | None = None
    """Network interface on which scheduler and workers listen, such as ib0; None: all."""

    @model_validator(mode="after")
    def _check_ssh(self) -> SshConfig:
        for name in ("workers", "adapt"):
            if name in self.model_fields_set:
                raise ValueError(f"{name} given; expected hosts and per_host, which say how many workers there are")
        return self

    @property
    def most_workers(self) -> int:
        """One per host, times ``per_host``."""
        return len(self.hosts) * self.per_host


class QueueConfig(StartedCluster):
    """Jobs of a batch system; each job is one worker, and the scheduler runs where the command runs."""

    kind: Literal["slurm", "pbs"]
    threads: int = Field(ge=1)
    memory: Size
    queue: str | None = None
    """Queue, or partition."""
    account: str | None = None
    walltime: Annotated[float, BeforeValidator(parse_walltime)] = Field(default=3600.0, ge=60)
    """Seconds; a worker whose time is over loses the block that it computes."""
    directives: Texts = ()
    """Further lines of the job script, without ``#SBATCH`` or ``#PBS``."""
    prologue: Texts = ()
    """Shell commands before the worker starts: ``module load …``."""
    python: str | None = None
    """Python with geounet on the nodes; None: the same path as here."""
    log_directory: Path | None = None
    """Where the jobs' output goes."""
    scratch: Path | None = None
    """The worker's own folder on a node, for what Dask leaves there; None: the working folder."""
    interface: str | None = None
    """Network interface on which scheduler and workers listen, such as ib0; None: all."""

    @property
    def clock(self) -> str:
        """The walltime as ``12:00:00``."""
        seconds = round(self.walltime)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


class KubernetesConfig(StartedCluster):
    """Pods of a Dask cluster, by Dask's operator."""

    kind: Literal["kubernetes"]
    threads: int = Field(ge=1)
    memory: Size
    image: str
    """With geounet; workflows/docker/Dockerfile makes one."""
    name: str = Field(default="geounet", pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)
    """How the cluster's name begins; a random end tells runs apart."""
    namespace: str | None = None
    claims: dict[str, str] = Field(min_length=1)
    """Volume claims by the path at which every pod sees them: ``/srv/scenes: scenes``."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    user_id: int = Field(default=10001, ge=1)
    """Whom the pods run as: whoever may write the results."""

    @model_validator(mode="after")
    def _check_kubernetes(self) -> KubernetesConfig:
        if self.tls is not None:
            raise ValueError("tls is not for kubernetes; its scheduler is reached through the cluster's own API")
        return self


KINDS: dict[str, type[StartedCluster]] = {
    "local": LocalConfig,
    "ssh": SshConfig,
    "slurm": QueueConfig,
    "pbs": QueueConfig,
    "kubernetes": KubernetesConfig,
}
"""What stands behind ``kind``."""

_PATHS = ("identity", "known_hosts", "log_directory")


def read_cluster(raw: object, *, where: str, folder: Path | None = None) -> ClusterConfig:
    """The section, checked; paths in it start from ``folder``. ConfigError with the first mistake, in one line."""
    if isinstance(raw, ClusterConfig):
        return raw
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where}: cluster: expected 'kind: {'|'.join(KINDS)}' and its keys, not {raw!r}")
    given = {str(key).replace("-", "_"): value for key, value in raw.items() if value is not None}
    kind = given.get("kind")
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"{where}: cluster.kind: {kind!r}; expected one of {', '.join(KINDS)}")
    known = ClusterConfig if kind is None else KINDS[str(kind)]
    for key in given:
        others = [name for name, other in KINDS.items() if key in other.model_fields]
        if key not in known.model_fields and others:
            meant = f"kind {kind}" if kind is not None else "a cluster without kind"
            raise ConfigError(f"{where}: cluster.{key}: is for kind {' and '.join(others)}, not for {meant}")
    return _at(checked(given, known, where=f"{where}: cluster"), folder or Path.cwd())


def _at(config: ClusterConfig, folder: Path) -> ClusterConfig:
    """The same with absolute paths."""
    changed: dict[str, Any] = {
        name: folder / path.expanduser() for name in _PATHS if (path := getattr(config, name, None)) is not None
    }
    if config.tls is not None:
        files = {name: folder / path.expanduser() for name, path in config.tls}
        changed["tls"] = config.tls.model_copy(update=files)
    return config.model_copy(update=changed)
