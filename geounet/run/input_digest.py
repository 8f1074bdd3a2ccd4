"""What a block was made of: one digest of all that it reads, so that a later run knows whether anything changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.run.rows import Band, ReadsPixels, read_band

_SIZE = 16  # bytes of a digest, as those of parts


class InputRows:
    """Digests of the pixel rows that a column of blocks has read, from the top to the bottom.

    A row's digest does not depend on what it was read together with: a block that takes over a canvas, whose upper
    rows the block above has read, comes to the digest that it has when it starts cold.
    """

    def __init__(self) -> None:
        self._top = 0
        self._rows: list[bytes] = []

    def add(self, band: Band) -> None:
        """Take in rows that lie directly below those that are known."""
        if not self._rows:
            self._top = band.top
        if band.top != self._top + len(self._rows):
            raise AssertionError(f"rows from {band.top} after {self._top + len(self._rows)}")
        self._rows.extend(_row_digests(band))

    def forget_above(self, row: int) -> None:
        """Rows above ``row`` are not asked for any more."""
        gone = min(max(row - self._top, 0), len(self._rows))
        del self._rows[:gone]
        self._top += gone

    def digest(self, reads: Window) -> str:
        """Hex digest of all rows of ``reads``; what was read of them must be as wide as it."""
        rows = self._rows[reads.row_off - self._top : reads.bottom - self._top]
        if reads.row_off < self._top or len(rows) != reads.height:
            raise AssertionError(f"{reads} was not read as a whole")
        return _new(b"".join(rows)).hexdigest()


def digest_of(
    scene: ReadsPixels, reads: Window, *, rows: int, wanted: Callable[[Window], NDArray[np.bool_]] | None
) -> str:
    """The digest of ``reads`` (see :class:`InputRows`), read by so many ``rows`` at a time."""
    seen = InputRows()
    for top in range(reads.row_off, reads.bottom, rows):
        bottom = min(top + rows, reads.bottom)
        seen.add(
            read_band(
                scene, Window.from_bounds(top=top, left=reads.col_off, bottom=bottom, right=reads.right), wanted
            )
        )
    return seen.digest(reads)


def _row_digests(band: Band) -> list[bytes]:
    """Of every row: pixels, validity, and what the result shows; plain masks are one byte."""
    all_valid = np.asarray(band.valid.all(axis=1))
    as_valid = np.asarray((band.wanted == band.valid).all(axis=1))
    data = np.ascontiguousarray(band.data)
    found = []
    for row in range(data.shape[1]):
        digest = _new()
        for channel in data:
            digest.update(channel[row])
        digest.update(b"\1" if all_valid[row] else b"\0" + band.valid[row].tobytes())
        digest.update(b"\1" if as_valid[row] else b"\0" + band.wanted[row].tobytes())
        found.append(digest.digest())
    return found


def _new(content: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(content, digest_size=_SIZE)
