"""Features on their way from the spool into the files: made and packed on threads, written in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from geounet.io.shapes import Features
from geounet.io.spool import Spool
from geounet.io.writing import ChunkWriter
from geounet.run.layers import Chunk, FeatureMaker
from geounet.vector.polygons import Polygons, none_at_all

if TYPE_CHECKING:
    from geounet.vector.simplify import Vertices

_T = TypeVar("_T")
Submit = Callable[..., Future[Any]]


@dataclass(kw_only=True)
class Totals:
    """What was written; it does not depend on the order."""

    decimals: int
    """Of areas; they are added up as whole numbers."""
    features: int = 0
    area: dict[int, float] = field(default_factory=dict)
    """m² by class value."""
    _units: dict[int, int] = field(default_factory=dict)
    regularized: int = 0
    """Features of the squared layer,"""
    squared: int = 0
    """and how many of them have right angles."""

    def add(self, features: Features, squares: Features | None) -> None:
        """Count a chunk."""
        if squares is not None:
            self.regularized += squares.id.size
            self.squared += int(squares.extra["regularized"].sum())
        self.features += features.id.size
        for value in np.unique(features.value).tolist():
            known = features.area[(features.value == value) & np.isfinite(features.area)]
            units = np.rint(known * 10.0**self.decimals).astype(np.int64)
            self._units[value] = self._units.get(value, 0) + int(units.sum())
            self.area[value] = self._units[value] / 10**self.decimals


@contextmanager
def threads_for(count: int) -> Iterator[Submit]:
    """A way to have calls made by ``count`` threads; by this one, at once, where it is 1."""
    if count == 1:
        yield _call
        return
    with ThreadPoolExecutor(count, thread_name_prefix="geounet-features") as pool:
        try:
            yield pool.submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def meanwhile(function: Callable[[], object], *, wanted: bool) -> Iterator[None]:
    """Have a call made by another thread during the body; its errors are left to whoever needs what it prepares."""
    if not wanted:
        yield
        return
    with ThreadPoolExecutor(1, thread_name_prefix="geounet-ready") as pool:
        pool.submit(function)
        yield


def _call(function: Callable[..., _T], *arguments: Any) -> Future[_T]:
    done: Future[_T] = Future()
    done.set_result(function(*arguments))
    return done


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the sweep has left."""

    spool: Spool
    vertices: Vertices | None
    """For an outline."""


def rehearse(maker: FeatureMaker, writers: Sequence[ChunkWriter]) -> None:
    """Make and pack a chunk of nothing, so that what that needs is loaded and ready."""
    maker.ground.get_ready()
    features, _ = maker.features(none_at_all(0 if maker.zones is None else len(maker.zones.names)), None)
    for writer in writers:
        writer.pack(features)


def write_features(
    maker: FeatureMaker,
    source: Source,
    writers: tuple[Sequence[ChunkWriter], Sequence[ChunkWriter]],
    totals: Totals,
    *,
    threads: int,
    on_chunk: Callable[[], None],
) -> None:
    """Write all features in order, numbered from 1; some chunks per thread are in hand at a time.

    ``writers``: of the features, and of those that are squared besides. ``on_chunk`` is called after each chunk.
    """

    def pack(chunk: Chunk) -> list[tuple[ChunkWriter, Any]]:
        return [
            (writer, writer.pack(features))
            for layer, features in zip(writers, chunk, strict=True)
            if features is not None
            for writer in layer
        ]

    def make(load: Callable[[], Polygons]) -> Chunk:
        return maker.features(load(), source.vertices)

    with threads_for(threads) as submit:
        made = (submit(make, load) for load in source.spool.loads())
        packed = (submit(pack, chunk) for chunk in _numbered(_in_hand(made, threads), totals))
        for chunk in _in_hand(packed, threads):
            for writer, one in chunk:
                writer.append(one)
            on_chunk()


def _in_hand(calls: Iterator[Future[_T]], count: int) -> Iterator[_T]:
    """The results in the order of the calls, of which ``count`` are in hand while one is taken."""
    waiting: deque[Future[_T]] = deque()
    for call in calls:
        waiting.append(call)
        if len(waiting) >= count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _numbered(chunks: Iterator[Chunk], totals: Totals) -> Iterator[Chunk]:
    """The chunks with the numbers of their features in the whole layer, counted."""
    for features, squares in chunks:
        numbers = totals.features + np.arange(1, 1 + features.id.size)
        totals.add(features, squares)
        yield (
            replace(features, id=numbers),
            None if squares is None else replace(squares, id=numbers[np.searchsorted(features.id, squares.id)]),
        )
