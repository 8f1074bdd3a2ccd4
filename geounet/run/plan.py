"""Before anything runs: can it work, and how is it laid out?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geounet.errors import ConfigError
from geounet.grid.blocks import Partition
from geounet.grid.geobox import GeoBox
from geounet.grid.lattice import Lattice
from geounet.io import human
from geounet.io.scene import Scene, SceneSpec
from geounet.io.vectors import check_formats
from geounet.model.engine import (
    EngineRequest,
    check_tile,
    cuda_devices,
    engine_kind,
    resolve_device,
    sharing_warning,
)
from geounet.model.package import Package
from geounet.model.stretch import Limits, stretch_of, stretched
from geounet.run.budget import Costs, column_bytes, estimate, within_budget
from geounet.run.cores import usable_cores
from geounet.run.fit import fit_warnings, overlap_warnings, scene_limits
from geounet.run.options import InferOptions

_PER_CORE = 16  # threads or processes per core, at most


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that can work, laid out."""

    scene: SceneSpec
    """With the bands that were chosen."""
    scene_name: str
    fingerprint: str
    dtype: str
    geobox: GeoBox
    """Grid that the network sees."""
    native_geobox: GeoBox
    """Grid of the results."""
    package: Package
    request: EngineRequest
    engine: str
    """``onnx``, ``torch-cpu`` or ``cuda``."""
    lattice: Lattice
    partition: Partition
    workers: int
    output: Path
    costs: Costs
    warnings: tuple[str, ...]
    limits: Limits | None = None
    """Raw values at the percentiles of the scene, which its scaling goes by; None: it goes by the model alone."""
    scene_time: str | None = None
    """RFC 3339; when the scene was taken, where somebody knows better than its file."""
    catalog_href: str | None = None
    """The folder of the catalogue that will list the results, relative to them."""
    item_id: str | None = None
    """Of the STAC item, where a catalogue holds several of the scene; else it is named by scene and model."""

    @property
    def raster_key(self) -> str:
        """Names what the rasters will show: scene content, model, and every option that changes a pixel."""
        return key_of(scene=self.fingerprint, **self._recipe)

    @property
    def recipe_key(self) -> str:
        """Names all that makes labels of pixels, whatever the pixels: who reads the same comes to the same."""
        return key_of(shape=self.geobox.shape, dtype=self.dtype, **self._recipe)

    @property
    def stretch(self) -> str | None:
        """Which raw values of the scene are taken for which, where the model asks for that."""
        if self.package.spec.stretch is None or self.limits is None:
            return None
        gain, offset = stretch_of(self.package.spec, self.limits, dtype=self.dtype)
        low, high = (f"{gain * limit + offset:.4g}" for limit in self.limits)
        return f"{self.limits[0]:g} to {self.limits[1]:g} as {low} to {high}"

    @property
    def _recipe(self) -> dict[str, Any]:
        return {
            "version": 1,
            "bands": self.scene.bands,
            "model": self.package.digest,
            "tile": self.lattice.tile,
            "overlap": self.lattice.rows.overlap,
            "batch": self.request.batch,
            "tta": self.request.tta,
            "precision": self.request.precision,
            "engine": self.engine,
            "gsd": self.scene.gsd,
            **({} if self.limits is None else {"limits": self.limits}),
        }


def make_plan(scene: Scene, package: Package, options: InferOptions, *, output: Path) -> Plan:
    """Lay out a run over an open scene, whose bands were chosen with :func:`geounet.run.fit.choose_bands`.

    Raises ConfigError or ModelError where it cannot work, with the remedy.
    """
    check_formats(options.formats)
    _check_parallel(options)
    workers = max(1, options.processes)
    lattice = _lattice(scene, package, options)
    request = _request(package, options, tile=lattice.tile, workers=workers)
    partition, memory = within_budget(lattice, options, per_column=column_bytes(scene, package, lattice.tile))
    limits = scene_limits(scene, package.spec)
    package = replace(package, spec=stretched(package.spec, limits, dtype=scene.dtype))
    return Plan(
        scene=scene.spec,
        scene_name=scene.name,
        fingerprint=scene.fingerprint,
        dtype=scene.dtype,
        geobox=scene.geobox,
        native_geobox=scene.native_geobox,
        package=package,
        request=request,
        engine=engine_kind(package, request, here=options.elsewhere is None),
        lattice=lattice,
        partition=partition,
        workers=workers,
        output=output,
        costs=estimate(lattice, partition, workers=workers, heads=len(package.spec.heads), memory=memory),
        warnings=(
            *scene.warnings,
            *fit_warnings(scene, package.spec),
            *overlap_warnings(lattice, package.spec),
            *_device_warnings(options, request),
        ),
        limits=limits,
    )


def _device_warnings(options: InferOptions, request: EngineRequest) -> list[str]:
    """Local workers that share a device; torch is asked only where it is needed anyway."""
    if not request.device.startswith("cuda") or options.elsewhere is not None:
        return []
    count = cuda_devices() if options.device in ("auto", "cuda") else 1
    said = sharing_warning(request.device, options.processes, count)
    return [] if said is None else [said]


def _check_parallel(options: InferOptions) -> None:
    """ConfigError for more processes or threads than can be of use here: each holds a network or a tile in memory.

    A scheduler's workers may have more cores than this machine.
    """
    cores = usable_cores()
    most = _PER_CORE * cores
    for name, value in (("workers", options.processes), ("threads", options.tiles_at_a_time or 1)):
        if value > most and options.elsewhere is None:
            raise ConfigError(
                f"--{name} {value}: there are {human.count(cores, 'core')} to use; expected at most {most}, "
                f"and more than {cores} are rarely faster"
            )


def _lattice(scene: Scene, package: Package, options: InferOptions) -> Lattice:
    """The tiles that cover the scene. Raises ConfigError for tiles or overlaps that cannot be."""
    tile = options.tile or package.spec.tile
    check_tile(tile, package)
    overlap = options.overlap if options.overlap is not None else _default_overlap(package, tile)
    if overlap >= tile:
        raise ConfigError(f"--overlap {overlap} with tiles of {tile}: expected less than the tile; try {tile // 4}")
    return Lattice.over(height=scene.geobox.height, width=scene.geobox.width, tile=tile, overlap=overlap)


def _request(package: Package, options: InferOptions, *, tile: int, workers: int) -> EngineRequest:
    return EngineRequest(
        device=resolve_device(_device(options), package, here=options.elsewhere is None),
        precision=options.precision,
        tile=tile,
        batch=options.batch,
        threads=options.tiles_at_a_time or max(1, usable_cores() // workers),
        tta=options.tta,
    )


def _device(options: InferOptions) -> str:
    """The device that was asked for; a cluster with GPUs asks for them."""
    return "cuda" if options.started is not None and options.started.gpu else options.device


def _default_overlap(package: Package, tile: int) -> int:
    """The model's own; for tiles smaller than the model's, at most a quarter of the tile."""
    spec = package.spec
    return spec.overlap if tile >= spec.tile else min(spec.overlap, tile // 4)


def key_of(**facts: Any) -> str:
    """sha256 of the facts, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
