"""One block, from pixels to a part: read → tiles → forward → blend → decide → write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geounet.errors import Interrupted, ModelError
from geounet.grid.blocks import Block
from geounet.grid.window import Window
from geounet.io.aoi import area_mask
from geounet.io.scene import open_spec
from geounet.model.canvas import RollingCanvas
from geounet.model.engine import Engine, TileJob, open_engine
from geounet.model.package import load_model
from geounet.model.spec import NODATA, Head
from geounet.run.base import Base
from geounet.run.input_digest import InputRows, digest_of
from geounet.run.part import PartWriter, part_name, part_writer
from geounet.run.rows import Band, WantedRows, ahead, read_bands
from geounet.run.turns import Turns
from geounet.run.work import Receipt, Work

OnTiles = Callable[[int], None]


@dataclass
class _Carry:
    """What a finished block hands to the one below it: the rows that they share, already summed."""

    block: int
    canvas: RollingCanvas
    band: Band | None
    wanted: WantedRows
    seen: InputRows


@dataclass
class _Tally:
    heads: tuple[Head, ...]
    tiles: int = 0
    skipped: int = 0
    reused: int = 0
    pixels: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.pixels = [[0] * len(head.classes) for head in self.heads]

    def count_pixels(self, bands: NDArray[np.uint8]) -> None:
        """Add the classes of finished rows ``(2 * heads, rows, width)``."""
        for counts, labels in zip(self.pixels, bands[::2], strict=True):
            for value in range(len(counts)):
                counts[value] += int(np.count_nonzero(labels == value))


class RunnerClosed(Exception):
    """The runner was closed before the block's turn came; another run has the process now."""


class BlockRunner:
    """Computes blocks of one run in one process: one network, one reader thread, one writer thread.

    Blocks may come in any order. A block that comes right after the one above it takes over that one's canvas
    instead of computing the shared tiles again; the result is the same to the byte, since the sums are.
    """

    def __init__(self, work: Work, *, begun: set[int] | None = None) -> None:
        """``begun``: the blocks that had their turn in an earlier runner of the same run, which takes them over."""
        package = load_model(work.model, allow_pickle=work.allow_pickle)
        if package.digest != work.model_digest:
            raise ModelError(
                f"model {work.model!r} differs between machines: digest {package.digest[:12]}… here, "
                f"{work.model_digest[:12]}… in the run; install the same package everywhere"
            )
        self._work = work
        self._engine: Engine = open_engine(replace(package, spec=work.spec), work.request)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        try:
            self._scene = self._reader.submit(open_spec, work.scene).result()
            self._wanted_area = area_mask(work.aoi, self._scene.geobox, around=work.around) if work.aoi else None
        except BaseException:
            self._free()
            raise
        self._base = Base(Path(work.base)) if work.base else None
        self._carry: _Carry | None = None
        self._turns = Turns(set() if begun is None else begun)
        self._closed = False
        self.stop = threading.Event()
        """Set to make the running block give up at its next tile."""

    def run(self, index: int, on_tiles: OnTiles = lambda _count: None, *, after: int | None = None) -> Receipt:
        """Compute one block and write its part; where ``after`` is on its way here too, it goes first.

        Raises Interrupted when ``stop`` was set meanwhile, RunnerClosed after :meth:`close`.
        """
        with self._turns.mine(index, after=after) as finishing:
            if self.stop.is_set():
                raise Interrupted("stopped before a block")
            if self._closed:
                raise RunnerClosed
            started = time.perf_counter()
            block = self._work.partition[index]
            parts, name = Path(self._work.parts), part_name(index, self._work.key)
            path = parts / name
            path.parent.mkdir(exist_ok=True)
            if (adopted := self._adopt(block, parts, name)) is not None:
                on_tiles(self._own_tiles(block))
                return replace(adopted, seconds=time.perf_counter() - started)
            tally = _Tally(self._work.spec.heads)
            rows, bands = self._work.lattice.rows.stride, 2 * len(self._work.spec.heads)
            with part_writer(path, block.core, bands=bands, rows=rows, executor=self._writer) as writer:
                self._carry = self._compute(block, writer, tally, on_tiles)
                seen = self._carry.seen.digest(self._work.lattice.reads(block.core))
                finishing()
                part = writer.finish()
            return Receipt(
                block=index,
                file=name,
                bytes=part.bytes,
                digest=part.digest,
                tiles=tally.tiles,
                reused=tally.reused,
                skipped=tally.skipped,
                pixels=tally.pixels,
                seconds=time.perf_counter() - started,
                engine=self._engine.name,
                input=seen,
            )

    def pass_over(self, blocks: Iterable[int]) -> None:
        """Nobody is to wait for the turn of these, where they have not had it."""
        self._turns.pass_over(blocks)

    def close(self) -> None:
        """Free the network, the threads and the scene, once the running block is done."""
        self._turns.end()
        with self._turns.mine() as finishing:
            self._closed = True
            self._carry = None
            finishing()  # the block before has its part
            self._reader.submit(self._scene.close).result()
            self._free()

    def _free(self) -> None:
        for executor in (self._reader, self._writer):
            executor.shutdown(wait=True)
        self._engine.close()

    def _adopt(self, block: Block, parts: Path, name: str) -> Receipt | None:
        """The receipt of a block that is as in the run to begin from, whose part it takes over; else None.

        A canvas that another block left is not taken on by the block after it, which starts cold.
        """
        base, lattice = self._base, self._work.lattice
        if base is None or not base.knows(block):
            return None
        reads = lattice.reads(block.core)
        read = self._reader.submit(
            digest_of, self._scene, reads, rows=lattice.tile, wanted=self._wanted_area
        ).result()
        return base.adopt(block, read, parts, name)

    def _own_tiles(self, block: Block) -> int:
        """Tiles that begin in a block, as far as it has the rows: what it costs where a canvas is carried down."""
        rows, cols = self._work.lattice.rows, self._work.lattice.cols
        touching = rows.touching(block.core.row_off, block.core.bottom)
        begun = sum(rows.starts[row] >= block.core.row_off for row in touching)
        return begun * len(cols.touching(block.core.col_off, block.core.right))

    def _compute(self, block: Block, writer: PartWriter, tally: _Tally, on_tiles: OnTiles) -> _Carry:
        core = block.core
        state = self._begin(block, tally)
        shown = state.wanted  # by itself: `on_rows` must not hold the state that holds it
        left = core.col_off - self._work.lattice.reads(core).col_off  # columns read beside the core

        def on_rows(top: int, bands: NDArray[np.uint8]) -> None:
            wanted = shown.take(top, bands.shape[1])[:, left : left + core.width]
            if not wanted.all():
                np.copyto(bands, NODATA, where=~wanted)
            above = max(0, core.row_off - top)  # rows of the block above that were only needed for their tiles
            if above < bands.shape[1]:
                tally.count_pixels(bands[:, above:])
                writer.write(top + above, bands[:, above:])

        state.canvas.on_rows = on_rows
        for _ in self._engine.blend(self._jobs(block, state, tally), state.canvas):
            on_tiles(1)
            if self.stop.is_set():
                raise Interrupted("stopped in the middle of a block")
        state.canvas.advance(core.bottom)
        state.block = block.index
        return state

    def _begin(self, block: Block, tally: _Tally) -> _Carry:
        """The canvas of the block above where it is at hand, else an empty one; the runner keeps neither."""
        rows = self._work.lattice.rows
        carry, self._carry = self._carry, None
        if carry is not None and carry.block == block.index - 1 and not block.is_top:
            shared = [
                r
                for r in rows.touching(block.core.row_off, block.core.bottom)
                if rows.starts[r] < block.core.row_off
            ]
            tally.reused = len(shared) * len(self._work.lattice.cols.touching(block.core.col_off, block.core.right))
            carry.seen.forget_above(self._work.lattice.reads(block.core).row_off)
            return carry
        del carry  # two canvases side by side would be the peak of a scene with several columns of blocks
        first = rows.touching(block.core.row_off, block.core.bottom)[0]
        canvas = self._engine.new_canvas(
            width=block.core.width, top=rows.starts[first], on_rows=lambda _top, _bands: None
        )
        return _Carry(block=-1, canvas=canvas, band=None, wanted=WantedRows(), seen=InputRows())

    def _jobs(self, block: Block, state: _Carry, tally: _Tally) -> Iterator[TileJob]:
        """The tiles of the block in lattice order, but those that the canvas holds already or that show nothing."""
        lattice, core = self._work.lattice, block.core
        reads = lattice.reads(core)
        to_do = [
            r
            for r in lattice.rows.touching(core.row_off, core.bottom)
            if lattice.rows.starts[r] >= state.canvas.top
        ]
        windows = [
            Window.from_bounds(
                top=lattice.rows.starts[r],
                left=reads.col_off,
                bottom=min(lattice.rows.starts[r] + lattice.tile, lattice.rows.length),
                right=reads.right,
            )
            for r in to_do
        ]
        bands = read_bands(self._scene, windows, above=state.band, wanted=self._wanted_area, on_read=state.seen.add)
        for row, band in zip(to_do, ahead(bands, self._reader), strict=True):
            state.band = band
            state.wanted.add(band)
            yield from self._row_of_jobs(row, band, core, tally)

    def _row_of_jobs(self, row: int, band: Band, core: Window, tally: _Tally) -> Iterator[TileJob]:
        lattice = self._work.lattice
        for col in lattice.cols.touching(core.col_off, core.right):
            start = lattice.cols.starts[col]
            if not band.is_wanted(start, lattice.tile):
                tally.skipped += 1
                continue
            tally.tiles += 1
            pixels, valid = band.tile(start, lattice.tile)
            yield TileJob(
                pixels=pixels,
                valid=valid,
                row=lattice.rows.starts[row],
                col=start - core.col_off,
                row_weights=lattice.rows.weights(row),
                col_weights=lattice.cols.weights(col),
            )
