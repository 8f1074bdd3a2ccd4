"""How a scene is divided into blocks within a memory budget, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import psutil

from geounet.errors import ConfigError
from geounet.grid.blocks import Partition
from geounet.grid.lattice import Axis, Lattice
from geounet.io import human
from geounet.io.scene import Scene
from geounet.model.package import Package
from geounet.run.options import InferOptions

_WIDEST = 8192  # pixels; wider blocks save little and their canvas grows
_TILES_PER_BLOCK = 160  # some 15 s of work on two cores: what a killed run loses at most per process
_MOST_BLOCKS = 100_000  # more of them cost more to administer than to compute
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


def within_budget(lattice: Lattice, options: InferOptions, *, per_column: int) -> tuple[Partition, int]:
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
