"""What a user can ask of a run, as one frozen value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from geounet.errors import ConfigError
from geounet.model.engine import Augmentation, Precision
from geounet.model.package import DEFAULT_MODEL

if TYPE_CHECKING:
    from geounet.run.cluster_config import ClusterConfig, StartedCluster

VECTOR_FORMATS = ("geojson", "geojsonseq", "geojsons", "gpkg", "fgb", "parquet", "shp")


@dataclass(frozen=True, kw_only=True)
class InferOptions:
    """Options of ``geounet infer``; None means "the model's default", or "choose for me".

    Sizes are pixels unless the name says metres; areas are m².
    """

    model: str = DEFAULT_MODEL
    output: Path | None = None
    """Results folder; None: ``<scene stem>_geounet`` beside the scene."""
    tile: int | None = None
    overlap: int | None = None
    batch: int | None = None
    block: int | None = None
    """Height and width of a block."""
    memory: int | None = None
    """Bytes that one process may use for its blocks."""
    device: str = "auto"
    precision: Precision = "auto"
    tta: Augmentation = "none"
    bands: tuple[str, ...] | None = None
    stack: bool = False
    nodata: float | None = None
    mask: str | None = None
    gsd: float | Literal["native"] | None = None
    """Metres at which the network sees the scene; ``native``: its own; None: see `geounet.run.fit.choose_gsd`."""
    pixel_size: float | None = None
    """Metres of a pixel of a scene without a CRS."""
    aoi: Path | None = None
    workers: int = 0
    """Local worker processes; 0: threads of this process."""
    threads: int | None = None
    """Tiles computed at a time by each process."""
    scheduler: str | None = None
    cluster: ClusterConfig | None = None
    """A cluster that is started for the run, or the certificates of ``scheduler``."""
    min_area: float = 0.0
    min_hole: float = 0.0
    simplify: float = 0.0
    bridge: float = 0.0
    """Metres."""
    spur: float | None = None
    """Metres; None: the width of the road."""
    smooth: bool = False
    threshold: str | None = None
    """Of mask heads: ``0.6``, or ``0.5:0.3`` with hysteresis; None: the model's."""
    regularize: tuple[str, ...] = ()
    """Names or values of classes whose polygons are also written with right angles."""
    stats: str | None = None
    """A raster on the grid of the results."""
    cleaned: bool = False
    formats: tuple[str, ...] = ("geojson",)
    confidence: bool = False
    base: Path | None = None
    """Results folder of an earlier version of the scene: unchanged blocks are taken from it."""
    fresh: bool = False
    overwrite: bool = False
    allow_remote: bool = False
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        _at_least(1, tile=self.tile, batch=self.batch, block=self.block, threads=self.threads)
        _at_least(0, overlap=self.overlap, workers=self.workers)
        _at_least(0, min_area=self.min_area, min_hole=self.min_hole, simplify=self.simplify)
        _at_least(0, bridge=self.bridge, spur=self.spur)
        if self.threshold is not None:
            from geounet.io.threshold import Threshold

            Threshold.parse(self.threshold)
        _one_of("precision", self.precision, ("auto", "fp32", "bf16", "fp16"))
        _one_of("tta", self.tta, ("none", "flips", "d4"))
        for name in self.formats:
            _one_of("format", name, VECTOR_FORMATS)
        if isinstance(self.gsd, float | int) and not 0 < self.gsd < 1e6:
            raise ConfigError(f"--gsd {self.gsd}: expected a positive number of metres")
        if self.pixel_size is not None and not 0 < self.pixel_size < 1e6:
            raise ConfigError(f"--pixel-size {self.pixel_size:g}: expected a positive number of metres")
        if self.workers and self.scheduler:
            raise ConfigError("--workers and --scheduler exclude each other: the scheduler's workers are used")
        self._check_cluster()

    def _check_cluster(self) -> None:
        if self.cluster is None:
            return
        started, kind = self.started, self.cluster.kind
        if started is None:
            if self.scheduler is None or not self.scheduler.startswith("tls://"):
                raise ConfigError(
                    "cluster without kind holds the certificates of --scheduler tls://…, which is not given; "
                    "give it, or a kind of cluster"
                )
            return
        for name, value in (("workers", self.workers), ("scheduler", self.scheduler)):
            if value:
                raise ConfigError(
                    f"--{name} {value} and cluster.kind {kind} exclude each other: cluster says who computes"
                )
        if self.threads is not None and started.threads not in (None, self.threads):
            raise ConfigError(
                f"--threads {self.threads} and cluster.threads {started.threads}: expected one of them"
            )
        if started.memory is not None and (self.memory or 0) // max(1, self.processes) > started.memory:
            raise ConfigError(
                f"--memory {self.memory:,} is more than cluster.memory {started.memory:,} bytes of a worker"
            )
        if started.gpu and self.device not in ("auto", "cuda"):
            raise ConfigError(
                f"--device {self.device} and cluster.gpu exclude each other: each worker has its own GPU"
            )
        if not started.gpu and self.device.startswith("cuda"):
            raise ConfigError(f"--device {self.device}: expected cluster.gpu true, so that each worker gets a GPU")

    @property
    def started(self) -> StartedCluster | None:
        """The cluster that is started for the run, if any."""
        if self.cluster is None or self.cluster.kind is None:
            return None
        from geounet.run.cluster_config import StartedCluster

        return self.cluster if isinstance(self.cluster, StartedCluster) else None

    @property
    def elsewhere(self) -> str | None:
        """Who computes, where other machines do: the address of a scheduler, or a kind of cluster."""
        if self.scheduler is not None or self.cluster is None or self.cluster.kind == "local":
            return self.scheduler
        return self.cluster.kind

    @property
    def processes(self) -> int:
        """Worker processes of this machine; 0: threads of this process."""
        if self.started is None or self.elsewhere is not None:
            return self.workers
        return self.started.most_workers

    @property
    def tiles_at_a_time(self) -> int | None:
        """Tiles that each process computes at a time, where that was said."""
        return self.threads if self.threads is not None or self.started is None else self.started.threads


def _at_least(least: int, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not least <= value < float("inf"):
            raise ConfigError(f"--{name.replace('_', '-')} {value}: expected {least} or more")


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(f"--{name} {value}: expected one of {', '.join(known)}")
