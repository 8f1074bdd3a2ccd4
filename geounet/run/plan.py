"""Before anything runs: does it fit, how is it divided, what will it cost?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import psutil

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
from geounet.run.cores import usable_cores
from geounet.run.fit import fit_warnings, overlap_warnings
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
    scene_time: str | None = None
    """RFC 3339; when the scene was taken, where somebody knows better than its file."""
    catalog_href: str | None = None
    """The folder of the catalogue that will list the results, relative to them."""

    @property
    def raster_key(self) -> str:
        """Names what the rasters will show: scene content, model, and every option that changes a pixel."""
        return key_of(scene=self.fingerprint, **self._recipe)

    @property
    def recipe_key(self) -> str:
        """Names all that makes labels of pixels, whatever the pixels: who reads the same comes to the same."""
        return key_of(shape=self.geobox.shape, dtype=self.dtype, **self._recipe)

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
        }


def make_plan(scene: Scene, package: Package, options: InferOptions, *, output: Path) -> Plan:
    """Lay out a run over an open scene, whose bands were chosen with :func:`geounet.run.fit.choose_bands`.

    Raises ConfigError or ModelError where it cannot work, with the remedy.
    """
    check_formats(options.formats)
    _check_parallel(options)
    workers = max(1, options.workers)
    lattice = _lattice(scene, package, options)
    request = _request(package, options, tile=lattice.tile, workers=workers)
    partition, memory = _within_budget(lattice, options, per_column=column_bytes(scene, package, lattice.tile))
    return Plan(
        scene=scene.spec,
        scene_name=scene.name,
        fingerprint=scene.fingerprint,
        dtype=scene.dtype,
        geobox=scene.geobox,
        native_geobox=scene.native_geobox,
        package=package,
        request=request,
        engine=engine_kind(package, request),
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
    )


def _device_warnings(options: InferOptions, request: EngineRequest) -> list[str]:
    """Local workers that share a device; torch is asked only where it is needed anyway."""
    if not request.device.startswith("cuda"):
        return []
    count = cuda_devices() if options.device in ("auto", "cuda") else 1
    said = sharing_warning(request.device, options.workers, count)
    return [] if said is None else [said]


def _check_parallel(options: InferOptions) -> None:
    """ConfigError for more processes or threads than can be of use here: each holds a network or a tile in memory.

    A scheduler's workers may have more cores than this machine.
    """
    cores = usable_cores()
    most = _PER_CORE * cores
    for name, value in (("workers", options.workers), ("threads", options.threads or 1)):
        if value > most and options.scheduler is None:
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
        device=resolve_device(options.device, package),
        precision=options.precision,
        tile=tile,
        batch=options.batch,
        threads=options.threads or max(1, usable_cores() // workers),
        tta=options.tta,
    )


def _within_budget(lattice: Lattice, options: InferOptions, *, per_column: int) -> tuple[Partition, int]:
    """The blocks, and the bytes that each process needs for one. Raises ConfigError where memory does not suffice.

    ``per_column``: bytes that one more column of a block costs.
    """
    workers = max(1, options.workers)
    budget = memory_budget(options.memory, workers)
    partition = divide(lattice, block=options.block, workers=workers, columns=budget // per_column)
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
    computed = 0
    share = ceil(len(partition) / workers)
    for block in partition:
        tiles = lattice.tiles_touching(block.core)
        if not block.is_top and block.index % share:
            shared = [r for r in _rows_of(lattice, block.core.row_off, block.core.bottom) if r < block.core.row_off]
            tiles -= len(shared) * len(lattice.cols.touching(block.core.col_off, block.core.right))
        computed += tiles
    return Costs(
        tiles=lattice.count,
        tiles_computed=computed,
        memory=memory,
        scratch=2 * heads * lattice.rows.length * lattice.cols.length,
    )


def _rows_of(lattice: Lattice, top: int, bottom: int) -> list[int]:
    return [lattice.rows.starts[r] for r in lattice.rows.touching(top, bottom)]


def column_bytes(scene: Scene, package: Package, tile: int) -> int:
    """Bytes that one more column of a block costs: canvas twice (sums and the rows that leave), three bands."""
    pixel = scene.count * _itemsize(scene.dtype) + 2
    return tile * (2 * 4 * package.spec.channels + 3 * pixel + 8 * len(package.spec.heads))


def _itemsize(dtype: str) -> int:
    import numpy as np

    return np.dtype(dtype).itemsize


def memory_budget(given: int | None, workers: int) -> int:
    """Bytes for the blocks of one process: what was asked for, else a quarter of what is free, at most 1 GiB."""
    if given is not None:
        return given // workers
    return min(2**30, psutil.virtual_memory().available // 4 // workers)


def key_of(**facts: Any) -> str:
    """sha256 of the facts, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
