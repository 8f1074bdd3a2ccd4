"""Features made while the sweep goes on, of polygons in the order in which they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from geounet.io.spool import chunks_of
from geounet.io.writing import ChunkWriter
from geounet.run.features import Totals
from geounet.run.layers import FeatureMaker
from geounet.vector.polygons import Polygons, none_at_all

_WAITING = 4
"""Chunks for each thread besides the sweep's; then that one makes the next itself, so that memory is bounded."""


@contextmanager
def straight_features(
    maker: FeatureMaker,
    writers: Sequence[ChunkWriter],
    totals: Totals,
    *,
    threads: int,
    on_chunk: Callable[[], None],
) -> Iterator[Callable[[Polygons], None]]:
    """A call that takes polygons; when the body has ended well, all features are with the writers.

    Those take them in any order (`geounet.io.vectors.SORTING`). ``threads`` are this one and others; with 1 all is
    done by this one, at once. ``on_chunk`` is called after each chunk that it makes once the body has ended.
    """
    with ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="geounet-features") as pool:
        line = _Line(maker, writers, totals, pool, most=_WAITING * (threads - 1))
        try:
            yield line.take
            line.finish(on_chunk)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Line:
    """Chunks of polygons that wait for a thread."""

    def __init__(
        self,
        maker: FeatureMaker,
        writers: Sequence[ChunkWriter],
        totals: Totals,
        pool: ThreadPoolExecutor,
        most: int,
    ) -> None:
        self._maker, self._writers, self._totals = maker, writers, totals
        self._pool, self._most = pool, most
        self._calls: list[tuple[Future[None], Polygons]] = []
        self._writing = threading.Lock()
        self._begun = False

    def take(self, polygons: Polygons) -> None:
        """Polygons of some rows."""
        for begin, end in chunks_of(polygons.sizes):
            self._begun = True
            chunk = polygons.part(begin, end)
            self._calls = [(call, waiting) for call, waiting in self._calls if not _done(call)]
            if len(self._calls) < self._most:
                self._calls.append((self._pool.submit(self._write, chunk), chunk))
            else:
                self._write(chunk)

    def finish(self, on_chunk: Callable[[], None]) -> None:
        """Make what has not begun, and wait for the rest."""
        if not self._begun:  # a file without features has columns, too
            self._write(none_at_all(0 if self._maker.zones is None else len(self._maker.zones.names)))
        while self._calls:
            call, chunk = self._calls.pop()
            if call.cancel():
                self._write(chunk)
                on_chunk()
            else:
                call.result()

    def _write(self, polygons: Polygons) -> None:
        """Polygons to features in the writers, on any thread."""
        features, _ = self._maker.features(polygons, None)
        features = replace(features, lonlat=None)  # not of use to these formats; sixteen bytes of each corner
        packed = [(writer, writer.pack(features)) for writer in self._writers]
        with self._writing:
            self._totals.add(features, None)
            for writer, one in packed:
                writer.append(one)


def _done(call: Future[None]) -> bool:
    """Whether it has ended; raises what it raised."""
    return call.done() and call.result() is None
