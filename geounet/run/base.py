"""An earlier run to begin from: a block that reads what its block read takes over its part, to the byte."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from geounet.grid.blocks import Block
from geounet.io.atomic import publish
from geounet.io.gdal import GDAL_ERRORS
from geounet.run.journal import JOURNAL
from geounet.run.kept_rasters import part_from_rasters
from geounet.run.part import file_digest
from geounet.run.receipts import receipts_of
from geounet.run.work import Receipt


class Base:
    """The parts of an earlier run with the same model and options, over the same grid in the same blocks.

    Nothing in it is ever changed, and nobody holds it: what is gone or damaged when it is asked for is computed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._receipts = receipts_of(folder / JOURNAL)

    def knows(self, block: Block) -> bool:
        """Whether it is worth asking for a block."""
        receipt = self._receipts.get(block.index)
        return receipt is not None and receipt.input != ""

    def adopt(self, block: Block, read: str, parts: Path, name: str) -> Receipt | None:
        """The receipt of a block that has read the same, whose part becomes ``name`` in ``parts``; else None.

        ``read``: the digest of what it reads now.
        """
        receipt = self._receipts[block.index]
        if receipt.input != read:
            return None
        kept, part = self._folder / "parts" / receipt.file, parts / name
        receipt = replace(receipt, file=name, tiles=0, reused=0, adopted=True)
        try:
            if _share(kept, part, digest=receipt.digest):
                return receipt
            return part_from_rasters(self._folder, receipt, block.core, part)
        except GDAL_ERRORS:
            return None


def _share(source: Path, target: Path, *, digest: str) -> bool:
    """Give a part, which never changes, a second name, or copy it; False where it is gone or damaged."""
    if not source.is_file() or file_digest(source) != digest:
        return False
    with publish(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
    return True
