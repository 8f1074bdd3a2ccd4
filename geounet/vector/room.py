"""Where arrays lie that grow: in memory, unless somebody knows a larger place (`geounet.io.mapped`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Room:
    """In memory."""

    def grown(self, arrays: Iterable[NDArray[Any]], used: int, spare: int) -> list[NDArray[Any]]:
        """The arrays with room for ``spare`` entries after ``used``, at least doubled where there was none.

        They are the same ones in the same order every time; those from before are not used any more.
        """
        return [
            old
            if old.shape[0] - used >= spare
            else self._larger(place, old, used, max(2 * old.shape[0], used + spare))
            for place, old in enumerate(arrays)
        ]

    def _larger(self, place: int, old: NDArray[Any], used: int, length: int) -> NDArray[Any]:  # noqa: ARG002
        """The array at a ``place`` with more entries."""
        new = np.empty((length, *old.shape[1:]), old.dtype)
        new[:used] = old[:used]
        return new

    patience = 4
    """Entries are given back once more than one in so many is needed no more."""

    def let_go(self, used: int) -> None:
        """Between two pieces of work: of ``used`` entries only the last need stay at hand."""
