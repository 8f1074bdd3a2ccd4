"""Receipts in a file, a line each: in memory is only where each of them begins."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import weakref
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from geounet.run.patience import wait_for
from geounet.run.work import Receipt

_FLUSH_EVERY = 1.0  # seconds at least between two; a flush takes milliseconds, and saves what came since the last
_NOWHERE = -1


class Receipts(Mapping[int, Receipt]):
    """The receipts in a journal file, by block, in the order of the blocks; the last one of a block counts.

    A hundred thousand of them as objects would take 100 MB; their places take one.
    """

    def __init__(self, file: Path) -> None:
        """Find the receipts of an earlier run; a line that a power cut left half-written ends the file."""
        self._file = file
        self._places = array("q")
        self._count = 0
        self._end = 0
        self._flushed = float("-inf")
        self._descriptor: int | None = None
        self._closed: weakref.finalize[[int], Receipts] | None = None
        if file.is_file():
            self._find()

    def add(self, receipt: Receipt) -> None:
        """Write one down: it outlives this process at once, and a power cut from the next flush on."""
        if self._descriptor is None:
            self._descriptor = self._opened()
            self._closed = weakref.finalize(self, os.close, self._descriptor)
        line = json.dumps(dataclasses.asdict(receipt), sort_keys=True).encode() + b"\n"
        _write(self._descriptor, line)
        self._remember(receipt.block, len(line))
        if time.monotonic() - self._flushed > _FLUSH_EVERY:
            os.fsync(self._descriptor)
            self._flushed = time.monotonic()

    def settle(self) -> None:
        """Flush what was written to the disk, and close the file until there is more."""
        if self._descriptor is not None and self._closed is not None:
            os.fsync(self._descriptor)
            self._closed()
            self._descriptor = None

    def __getitem__(self, block: int) -> Receipt:
        if block not in self:
            raise KeyError(block)
        with self._file.open("rb") as stream:
            stream.seek(self._places[block])
            return _parsed(stream.readline())

    def __contains__(self, block: object) -> bool:
        return isinstance(block, int) and 0 <= block < len(self._places) and self._places[block] != _NOWHERE

    def __iter__(self) -> Iterator[int]:
        return (block for block, place in enumerate(self._places) if place != _NOWHERE)

    def __len__(self) -> int:
        return self._count

    def each(self) -> Iterator[Receipt]:
        """All of them, in the order of the blocks; quicker than one by one."""
        if not self._count:
            return
        with self._file.open("rb") as stream:
            for block in self:
                stream.seek(self._places[block])
                yield _parsed(stream.readline())

    def _opened(self) -> int:
        """The file, to be written on; where its folder is away for a while, when it is back."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            return os.open(self._file, flags, 0o644)
        except FileNotFoundError:
            wait_for([self._file.parent])
            return os.open(self._file, flags, 0o644)

    def _find(self) -> None:
        for receipt, size in read_receipts(self._file):
            self._remember(receipt.block, size)
        if self._end < self._file.stat().st_size:
            os.truncate(self._file, self._end)

    def _remember(self, block: int, size: int) -> None:
        missing = block + 1 - len(self._places)
        if missing > 0:
            self._places.extend(array("q", [_NOWHERE]) * missing)
        self._count += self._places[block] == _NOWHERE
        self._places[block] = self._end
        self._end += size


def read_receipts(file: Path) -> Iterator[tuple[Receipt, int]]:
    """The receipts in a journal file and the bytes of each; a half-written line ends them."""
    with file.open("rb") as stream:
        for line in stream:
            try:
                if not line.endswith(b"\n"):
                    return  # the next receipt would be written onto this line
                yield _parsed(line), len(line)
            except (ValueError, TypeError):
                return


def receipts_of(file: Path) -> dict[int, Receipt]:
    """The receipts in a journal file that nobody writes, by block; none where it cannot be read."""
    try:
        return {receipt.block: receipt for receipt, _ in read_receipts(file)}
    except OSError:
        return {}


def _parsed(line: bytes) -> Receipt:
    receipt = Receipt(**json.loads(line))
    if not isinstance(receipt.block, int) or receipt.block < 0:
        raise ValueError(f"block {receipt.block!r}")
    return receipt


def _write(descriptor: int, line: bytes) -> None:
    """All of the line: a disk that is nearly full takes a piece, and says so when the rest comes."""
    while line:
        line = line[os.write(descriptor, line) :]
