"""A continent on very many GPUs, by simulation: which part is busy first, and how long the whole takes.

``python tests/benchmarks/scale_simulation.py`` prints what docs/scale.md shows; ``--gpus``, ``--forward``,
``--bandwidth`` and so on change it. Discrete events: a shared thing (storage, scheduler, client, ledger) serves one
after the other, a GPU works on one block while the next is on its way to it.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace

Moment = Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the simulation is told; docs/scale.md says where each number comes from."""

    area: float = 30.37e6
    """km² of ground (published: Africa)."""
    pixel: float = 10.0
    """Metres."""
    bytes_per_pixel: float = 4.0
    """Read per pixel (assumed: four bands of uint16, halved by compression)."""
    written_per_pixel: float = 0.4
    """Written per pixel of a part (assumed: two heads, labels and confidences, a tenth by compression)."""
    stride: int = 384
    """Pixels between tiles: the default model's."""
    tiles_per_block: int = 160
    gpus: int = 1000
    forward: float = 3.0
    """ms per tile on one GPU, blending included (assumed)."""
    scheduler: float = 1.2
    """ms of the scheduler per block (measured)."""
    client: float = 1.1
    """ms of the client per block (measured)."""
    scheduler_task: float = 3.2
    """ms of the scheduler per task, besides its blocks (measured)."""
    client_task: float = 1.7
    """ms of the client per task, besides its blocks (measured)."""
    task: float = 2.0
    """Seconds: so many blocks travel together as fit into it (`geounet.run.worker.TASK`)."""
    bandwidth: float = 50.0
    """GB/s of the shared storage, to all machines together (assumed)."""
    stream: float = 0.5
    """GB/s of the shared storage to one machine (assumed)."""
    stitch: float = 84.0
    """Mpx/s of all heads on one machine (measured)."""
    vectors: float = 24.0
    """Mpx/s of all heads on one machine (measured)."""
    describe: float = 73.0
    """Mpx/s on one machine (measured)."""
    ledger: float = 10.0
    """ms of the ledger per scene: finding, claiming, recording (assumed)."""
    scene: float = 120.56
    """Mpx of a scene, where there are many (published: a Sentinel-2 tile has 10,980 × 10,980)."""
    around: float = 1.0
    """Seconds around the tiles of a scene (measured: the process starts and ends)."""
    life: float = 50.0
    """Hours until a GPU's process is lost, on average (assumed)."""
    again: float = 120.0
    """Seconds until a lost process is back (assumed)."""

    @property
    def pixels(self) -> float:
        """Of the whole ground."""
        return self.area * 1e6 / self.pixel**2

    @property
    def block(self) -> float:
        """Seconds that a GPU takes for a block."""
        return self.tiles_per_block * self.forward / 1000

    @property
    def handling(self) -> tuple[float, float]:
        """Seconds that a block takes scheduler and client, with its share of its task."""
        together = max(1, int(self.task / self.block)) if self.block else 1
        scheduler, client = (
            self.scheduler + self.scheduler_task / together,
            self.client + self.client_task / together,
        )
        return scheduler / 1000, client / 1000


@dataclass
class Server:
    """Something that all share: it serves one after the other, in the order in which they come."""

    free: float = 0.0
    busy: float = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """When what comes ``now`` and takes ``seconds`` has been served."""
        self.free = max(self.free, now) + seconds
        self.busy += seconds
        return self.free


@dataclass
class Outcome:
    """What came of it."""

    seconds: float = 0.0
    """Until the last GPU is done; one machine's work on the whole comes after it."""
    after: dict[str, float] = field(default_factory=dict)
    """Seconds of what one machine does with the whole, one stage after the other."""
    busy: dict[str, float] = field(default_factory=dict)
    """Share of those seconds in which each part was at work."""
    lost: int = 0
    """Blocks, or scenes, that were begun again."""


def one_scene(given: Inputs) -> Outcome:
    """All ground as one scene: one scheduler, one client, then one machine that stitches and vectorizes."""
    per_block = given.tiles_per_block * given.stride**2
    blocks = math.ceil(given.pixels / per_block)
    storage, scheduler, client = Server(), Server(), Server()
    asking, telling = given.handling

    def work(begin: float) -> float:
        return max(begin + given.block, _moved(storage, given, begin, per_block))

    def handled(end: float) -> float:
        return client.serve(scheduler.serve(end, asking), telling)

    seconds, lost = _spread(given, blocks, work, handled)
    gpu = blocks * given.block / given.gpus
    mega = given.pixels / 1e6
    return Outcome(
        seconds=seconds,
        after={"stitch": mega / given.stitch, "vectors": mega / given.vectors, "describe": mega / given.describe},
        busy={
            name: spent / seconds
            for name, spent in (
                ("GPUs", gpu), ("storage", storage.busy), ("scheduler", scheduler.busy), ("client", client.busy)
            )
        },
        lost=lost,
    )  # fmt: skip


def many_scenes(given: Inputs) -> Outcome:
    """A machine per GPU, each with ``geounet run`` over one ledger: scene by scene, from the pixels to the map."""
    pixels = given.scene * 1e6
    scenes = math.ceil(given.pixels / pixels)
    storage, ledger = Server(), Server()
    forward = pixels / given.stride**2 * given.forward / 1000
    alone = given.around + given.scene * (1 / given.stitch + 1 / given.vectors + 1 / given.describe)

    def work(begin: float) -> float:
        claimed = ledger.serve(begin, given.ledger / 1000)
        return max(claimed + forward, _moved(storage, given, claimed, pixels)) + alone

    seconds, lost = _spread(given, scenes, work, lambda end: end)
    each = {"GPUs": forward, "stitch, vectors, start": alone}
    busy = {name: scenes * spent / given.gpus / seconds for name, spent in each.items()}
    shared = {"storage": storage.busy / seconds, "ledger": ledger.busy / seconds}
    return Outcome(seconds=seconds, busy=busy | shared, lost=lost)


def _moved(storage: Server, given: Inputs, begin: float, pixels: float) -> float:
    """When the pixels have been read and their map written: no faster than storage and network allow."""
    giga = pixels * (given.bytes_per_pixel + given.written_per_pixel) / 1e9
    return max(storage.serve(begin, giga / given.bandwidth), begin + giga / given.stream)


def _spread(given: Inputs, count: int, work: Moment, handled: Moment) -> tuple[float, int]:
    """Seconds until ``count`` pieces are done, and how many were lost with their process.

    ``work`` tells when a piece that is begun then is done, ``handled`` when the news of that is written down.

    A GPU may begin a piece once it has finished the one before and the news of the one before that was ``handled``.
    """
    chance, last, lost = random.Random(0), 0.0, 0
    ready = [(0.0, gpu) for gpu in range(given.gpus)]  # sorted, so a heap
    news = [0.0] * given.gpus
    ends: list[tuple[float, int]] = []
    while count or ends:
        if count and ready and (not ends or ready[0][0] <= ends[0][0]):
            begin, gpu = heapq.heappop(ready)
            end = work(begin)
            if chance.random() < -math.expm1((begin - end) / 3600 / given.life):
                lost += 1
                heapq.heappush(ready, (end + given.again, gpu))
                continue
            count -= 1
            heapq.heappush(ends, (end, gpu))
        else:
            end, gpu = heapq.heappop(ends)
            heapq.heappush(ready, (max(end, news[gpu]), gpu))
            news[gpu] = handled(end)
            last = max(last, news[gpu])
    return last, lost


def report(given: Inputs) -> Iterator[str]:
    """The page's table, line by line."""
    yield f"{given.pixels / 1e9:,.0f} Gpx, {given.pixels / given.stride**2 / 1e6:,.2f} million tiles"
    yield f"{'':24}{'GPUs done':>12}{'afterwards':>12}  busy meanwhile"
    for gpus, forward in ((100, given.forward), (given.gpus, given.forward), (given.gpus, 10 * given.forward)):
        some = replace(given, gpus=gpus, forward=forward)
        for name, outcome in (("one scene", one_scene(some)), ("many scenes", many_scenes(some))):
            busy = ", ".join(f"{what} {100 * share:.0f} %" for what, share in outcome.busy.items())
            what = f"{name}, {gpus} x {forward:g} ms"
            yield f"{what:24}{outcome.seconds:>10,.0f} s{sum(outcome.after.values()):>10,.0f} s  {busy}"


def main() -> None:
    """Print the report for what the command line gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    for known in fields(Inputs):
        parser.add_argument(f"--{known.name.replace('_', '-')}", type=type(known.default), default=known.default)
    print("\n".join(report(Inputs(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
