"""Which block goes to which worker next: a stretch of neighbours for each, so that it can hand its canvas down."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

_SHARE = 8  # of what is left of its stretch, a worker takes no more than one part in so many at once


@dataclass(frozen=True)
class Next:
    """Blocks that a worker is to compute, one after the other."""

    blocks: tuple[int, ...]
    alone: bool
    """Nothing else is to be in flight on its worker: if that dies, this one block did it."""


class Stretches:
    """The blocks that nobody has been sent; each leaves by :meth:`take`, once, unless it is put back."""

    def __init__(self, blocks: Sequence[int]) -> None:
        self._of: dict[str, deque[int]] = {}
        self._loose: list[int] = list(blocks)
        self._suspects: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._loose) + len(self._suspects) + sum(map(len, self._of.values()))

    def __bool__(self) -> bool:
        return bool(self._loose or self._suspects or any(self._of.values()))

    @property
    def workers(self) -> Collection[str]:
        """Who takes part."""
        return self._of.keys()

    @property
    def suspects(self) -> list[int]:
        """Blocks that workers died with, in order."""
        return sorted(self._suspects)

    def join(self, workers: Iterable[str]) -> None:
        """Workers that are there; those who are new take over from the others when they ask."""
        for worker in sorted(set(workers) - self._of.keys()):
            self._of[worker] = deque()
        self._share_out()

    def leave(self, worker: str) -> None:
        """A worker is gone: what it was not sent goes round again."""
        self._loose.extend(self._of.pop(worker, ()))

    def put_back(self, block: int, *, suspect: bool = False) -> None:
        """A block that was taken is to be computed after all; a ``suspect`` after all others, and alone."""
        (self._suspects if suspect else self._loose).append(block)

    def give_back(self, worker: str, blocks: Sequence[int]) -> None:
        """The next blocks of a worker, which it was sent and had no time for."""
        if worker in self._of:
            self._of[worker].extendleft(reversed(blocks))
        else:
            self._loose.extend(blocks)

    def take(self, worker: str, *, idle: bool, most: int = 1) -> Next | None:
        """The next blocks of a worker, which may be ``idle``; None where there is none for it.

        At ``most`` so many, and enough are left for those who are done earlier.
        """
        if worker not in self._of:
            return None
        self._share_out()
        stretch = self._of[worker]
        if not stretch:
            self._take_over(stretch)
        if stretch:
            count = min(most, max(1, len(stretch) // _SHARE))
            return Next(tuple(stretch.popleft() for _ in range(count)), alone=False)
        if idle and self._suspects:
            return Next((self._suspects.popleft(),), alone=True)
        return None

    def _share_out(self) -> None:
        """Give every worker a stretch of the loose blocks."""
        if not self._loose or not self._of:
            return
        blocks, self._loose = sorted(self._loose), []
        share = -(-len(blocks) // len(self._of))
        for number, name in enumerate(sorted(self._of)):
            self._of[name].extend(blocks[number * share : (number + 1) * share])

    def _take_over(self, stretch: deque[int]) -> None:
        """Move the lower half of the longest stretch to one that is empty."""
        longest = max(self._of.values(), key=len)
        taken = [longest.pop() for _ in range(len(longest) // 2)]
        stretch.extend(reversed(taken))
