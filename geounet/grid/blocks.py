"""The partition of a scene into disjoint blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from geounet.grid.window import Window


@dataclass(frozen=True, kw_only=True)
class Block:
    """One piece of the partition."""

    index: int
    """Position in the order of work: down each column of blocks, then the next column."""
    core: Window
    """The scene pixels that the block owns."""
    is_top: bool
    """Whether no block of the same column lies above it."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Disjoint blocks that cover a scene; the last of a row or column may be smaller.

    Blocks are numbered down the columns, because a worker that goes down a column can hand the canvas rows
    that two blocks share from the one to the next.
    """

    height: int
    width: int
    block_height: int
    block_width: int

    @property
    def rows(self) -> int:
        """Blocks in a column."""
        return ceil(self.height / self.block_height)

    @property
    def cols(self) -> int:
        """Columns of blocks."""
        return ceil(self.width / self.block_width)

    def __len__(self) -> int:
        return self.rows * self.cols

    def __getitem__(self, index: int) -> Block:
        if not 0 <= index < len(self):
            raise IndexError(index)
        col, row = divmod(index, self.rows)
        top, left = row * self.block_height, col * self.block_width
        core = Window.from_bounds(
            top=top,
            left=left,
            bottom=min(top + self.block_height, self.height),
            right=min(left + self.block_width, self.width),
        )
        return Block(index=index, core=core, is_top=row == 0)

    def __iter__(self) -> Iterator[Block]:
        return (self[index] for index in range(len(self)))
