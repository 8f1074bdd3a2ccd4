"""Before anything runs: does it fit, how is it divided, what will it cost?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import psutil

from geounet.errors import ConfigError
from geounet.grid.blocks import Partition
from geounet.grid.geobox import GeoBox
from geounet.grid.lattice import Axis, Lattice
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
from geounet.run.cores import usable_cores
from geounet.run.fit import fit_warnings, overlap_warnings, scene_limits
from geounet.run.options import InferOptions

_WIDEST = 8192  # pixels; wider blocks save little and their canvas grows
_TILES_PER_BLOCK = 160  # some 15 s of work on two cores: what a killed run loses at most per process
_MOST_BLOCKS = 100_000  # more of them cost more to administer than to compute
_PER_CORE = 16  # threads or processes per core, at most
_BLOCKS_PER_WORKER = 8  # so that the last one to finish is not waited for long


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a run would take, as far as it can be computed; ``forecast`` measures the rest."""

    tiles: int
    """Tiles of the lattice."""
    tiles_computed: int
    """With those that more than one stretch of blocks computes."""
    memory: int
    """Bytes that each process needs besides its libraries and the network."""
    scratch: int
    """Bytes of disk for parts, at most."""

    @property
    def recompute_factor(self) -> float:
        """Tiles computed ÷ tiles of the lattice."""
        return self.tiles_computed / self.tiles


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
    partition, memory = _within_budget(lattice, options, per_column=column_bytes(scene, package, lattice.tile))
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


def _within_budget(lattice: Lattice, options: InferOptions, *, per_column: int) -> tuple[Partition, int]:
    """The blocks, and the bytes that each process needs for one. Raises ConfigError where memory does not suffice.

    ``per_column``: bytes that one more column of a block costs.
    """
    workers = max(1, options.processes)
    budget = memory_budget(options, workers)
    expected = workers if options.started is None else options.started.most_workers
    partition = divide(lattice, block=options.block, workers=expected, columns=budget // per_column)
    memory = per_column * min(partition.block_width + lattice.tile, lattice.cols.length + lattice.tile)
    if memory > budget:
        smaller = "block" if options.block is not None else "tile"
        raise ConfigError(
            f"blocks of {partition.block_width} columns need {human.size(memory * workers)}, the budget is "
            f"{human.size(budget * workers)}; give a larger --memory or a smaller --{smaller}"
        )
    return partition, memory


def _default_overlap(package: Package, tile: int) -> int:
    """The model's own; for tiles smaller than the model's, at most a quarter of the tile."""
    spec = package.spec
    return spec.overlap if tile >= spec.tile else min(spec.overlap, tile // 4)


def divide(lattice: Lattice, *, block: int | None, workers: int, columns: int) -> Partition:
    """The partition into blocks: sides are multiples of the stride, so that a cut recomputes one tile, not two.

    ``columns`` is what the memory budget allows; ``block`` overrules the choice.
    """
    height, width, stride = lattice.rows.length, lattice.cols.length, lattice.rows.stride
    if block is not None:
        partition = Partition(height=height, width=width, block_height=block, block_width=block)
        if len(partition) > _MOST_BLOCKS:
            enough = ceil((height * width / _MOST_BLOCKS) ** 0.5 / stride + 1) * stride
            raise ConfigError(
                f"--block {block} makes {len(partition):,} blocks; expected a larger one, such as {enough}"
            )
        return partition
    widest = max(stride, min(_WIDEST + stride, columns - lattice.tile) // stride * stride)
    strips = ceil(width / widest)
    block_width = ceil(width / strips / stride) * stride
    tile_rows, tile_cols = len(lattice.rows.starts), ceil(block_width / stride)
    rows = max(1, round(_TILES_PER_BLOCK / tile_cols))
    if workers > 1:
        rows = max(1, min(rows, tile_rows * strips // (_BLOCKS_PER_WORKER * workers)))
    return Partition(
        height=height, width=width, block_height=min(rows * stride, height), block_width=min(block_width, width)
    )


def estimate(lattice: Lattice, partition: Partition, *, workers: int, heads: int, memory: int) -> Costs:
    """Tiles and bytes; the tiles between blocks of one column are shared within a worker's stretch."""
    rows = [_tiles_of(lattice.rows, low, high) for low, high in _cuts(partition.height, partition.block_height)]
    cols = [_tiles_of(lattice.cols, low, high)[0] for low, high in _cuts(partition.width, partition.block_width)]
    # a column of blocks that one worker goes down computes no tile twice: what each needs, less what it is handed
    computed = sum(cols) * (sum(needed for needed, _ in rows) - sum(handed for _, handed in rows[1:]))
    for first in range(0, len(partition), ceil(len(partition) / workers)):  # of a worker's stretch: begins cold
        col, row = divmod(first, partition.rows)
        computed += cols[col] * rows[row][1] if row else 0
    return Costs(
        tiles=lattice.count,
        tiles_computed=computed,
        memory=memory,
        scratch=2 * heads * lattice.rows.length * lattice.cols.length,
    )


def _cuts(length: int, step: int) -> list[tuple[int, int]]:
    """First and last-plus-one pixel of the blocks along an axis."""
    return [(low, min(low + step, length)) for low in range(0, length, step)]


def _tiles_of(axis: Axis, low: int, high: int) -> tuple[int, int]:
    """Tiles along an axis that touch ``[low, high)``, and how many of them begin before it."""
    touching = axis.touching(low, high)
    return len(touching), sum(axis.starts[n] < low for n in touching)


def column_bytes(scene: Scene, package: Package, tile: int) -> int:
    """Bytes that one more column of a block costs: canvas twice (sums and the rows that leave), three bands."""
    pixel = scene.count * _itemsize(scene.dtype) + 2
    return tile * (2 * 4 * package.spec.channels + 3 * pixel + 8 * len(package.spec.heads))


def _itemsize(dtype: str) -> int:
    import numpy as np

    return np.dtype(dtype).itemsize


def memory_budget(options: InferOptions, workers: int) -> int:
    """Bytes for the blocks of one process: what was asked for, else a quarter of what it has, at most 1 GiB."""
    if options.memory is not None:
        return options.memory // workers
    if options.started is not None and options.started.memory is not None:
        return min(2**30, options.started.memory // 4)
    return min(2**30, psutil.virtual_memory().available // 4 // workers)


def key_of(**facts: Any) -> str:
    """sha256 of the facts, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
