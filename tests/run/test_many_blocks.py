"""What a run keeps of very many blocks: counts without a walk over them, receipts that weigh nothing."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from geounet.grid.blocks import Partition
from geounet.grid.lattice import Lattice
from geounet.run.budget import estimate
from geounet.run.journal import Journal
from geounet.run.part import part_name
from geounet.run.receipts import Receipts
from geounet.run.work import Receipt
from tests.memory import memory_taken


@st.composite
def divided(draw: st.DrawFn) -> tuple[Lattice, Partition]:
    """A lattice, and blocks of any shape."""
    height, width = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    tile = draw(st.integers(1, 40))
    lattice = Lattice.over(height=height, width=width, tile=tile, overlap=draw(st.integers(0, tile - 1)))
    sides = {"block_height": draw(st.integers(9, 220)), "block_width": draw(st.integers(9, 220))}
    return lattice, Partition(height=height, width=width, **sides)


@settings(deadline=None)
@given(divided(), st.integers(1, 9))
def test_the_tiles_to_compute_are_those_of_a_walk_over_all_blocks(
    case: tuple[Lattice, Partition], workers: int
) -> None:
    lattice, partition = case
    share, walked = ceil(len(partition) / workers), 0
    for block in partition:
        rows = lattice.rows.touching(block.core.row_off, block.core.bottom)
        handed = not block.is_top and block.index % share
        own = [row for row in rows if not (handed and lattice.rows.starts[row] < block.core.row_off)]
        walked += len(own) * len(lattice.cols.touching(block.core.col_off, block.core.right))
    assert estimate(lattice, partition, workers=workers, heads=1, memory=0).tiles_computed == walked


def receipt(block: int, *, tiles: int = 1) -> Receipt:
    """As a block of two heads leaves it."""
    return Receipt(
        block=block, file=part_name(block, "f" * 64), bytes=912, digest="0" * 32, tiles=tiles, reused=0, skipped=0,
        pixels=[[0, 1024, 0], [0, 1024]], seconds=0.1, engine="onnxruntime cpu fp32",
    )  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=40), st.integers(0, 40))
def test_receipts_are_those_of_a_dict(tmp_path_factory, written: list[tuple[int, int]], reopened: int) -> None:
    """The last one of a block counts, whether this process wrote it or the one before."""
    file = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    receipts, expected = Receipts(file), {}
    for number, (block, tiles) in enumerate(written):
        if number == reopened:
            receipts = Receipts(file)
        receipts.add(receipt(block, tiles=tiles))
        expected[block] = receipt(block, tiles=tiles)
    for found in (receipts, Receipts(file)):
        assert dict(found) == expected
        assert list(found.each()) == [expected[block] for block in sorted(expected)]
        assert len(found) == len(expected)
        assert 31 not in found


def test_receipts_weigh_nothing_in_memory(tmp_path: Path) -> None:
    """As objects, 20,000 of them take 20 MB."""
    lines = Journal(tmp_path, "k")
    for block in range(20_000):
        lines.record(receipt(block))
    lines.settle()
    with memory_taken() as taken:
        again = Journal(tmp_path, "k")
        assert len(again.receipts) == 20_000
        assert sum(found.tiles for found in again.receipts.each()) == 20_000
        assert taken() < 4 * 2**20


def test_a_thousand_parts_to_a_folder() -> None:
    key = "0123456789abcdef"
    assert part_name(7, key) == "000/000007-0123456789ab.tif"
    assert {part_name(n, key).split("/")[0] for n in (1000, 1999)} == {"001"}
    assert part_name(123_456, key) == "123/123456-0123456789ab.tif"
