"""The town: avenues, motorways and creeks between and across the cells, and the way to ask for a window of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.sample.cell import place_cars
from geounet.sample.climate import Climate
from geounet.sample.districts import draw_cell
from geounet.sample.frame import MOTORWAY_HALF, Frame, cell_rng, make_frame
from geounet.sample.palette import Palette, make_palette
from geounet.sample.sketch import (
    AVENUE,
    BRIDGE,
    COVER,
    KERB,
    LAKE,
    LAND,
    MARK,
    MEDIAN,
    MOTORWAY,
    ROAD,
    SHOAL,
    SHORE,
    STRIPE,
    VEGETATION,
    WATER,
    Pieces,
    RoadLine,
    Sketch,
    dashes,
    ribbon,
)  # fmt: skip

F64 = NDArray[np.float64]
Box = tuple[float, float, float, float]

MARGIN = 110.0
"""How far, in pixels, a piece may reach out of its cell: shadows of tall blocks, kerbs, bends."""
STEP = 512
"""Length of a piece of motorway or creek, in pixels."""


@lru_cache(maxsize=8192)
def _cell_bounds(frame: Frame, i: int, j: int) -> Box:
    """The world box around a cell's outline."""
    u, v = (np.linspace(frame.line(axis, k), frame.line(axis, k + 1), 12) for axis, k in ((0, i), (1, j)))
    rim = [np.stack([u, np.full(12, end)], -1) for end in (v[0], v[-1])]
    rim += [np.stack([np.full(12, end), v], -1) for end in (u[0], u[-1])]
    xy = frame.world(np.concatenate(rim))
    (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


class Town:
    """An endless town, made where it is looked at. Safe to share between threads."""

    def __init__(self, seed: int, *, climate: Climate = "dry", keep: int = 256) -> None:
        self.frame: Frame = make_frame(seed)
        self.palette: Palette = make_palette(seed, climate)
        self._kept: OrderedDict[Hashable, Pieces] = OrderedDict()
        self._keep = keep
        self._lock = threading.Lock()

    def pieces(self, box: Box) -> Iterator[tuple[Hashable, Pieces]]:
        """Keys and pieces that may show in a world box (left, top, right, bottom), in one fixed order."""
        for kind, a, b in self._keys(box):
            yield (kind, a, b), self._piece(kind, a, b)

    def _keys(self, box: Box) -> Iterator[tuple[str, int, int]]:
        for kind, corridor in (("creek", self.frame.creek), ("motorway", self.frame.motorway)):
            numbers, (low, high) = corridor.near(box, MARGIN + 120)
            for k in numbers:
                for m in range(int(low // STEP), int(high // STEP) + 1):
                    yield kind, k, m
        for i, j in self.frame.cells(box, MARGIN):
            if not self._near(i, j, box):
                continue
            yield "cell", i, j
            yield "avenue", i, j

    def _near(self, i: int, j: int, box: Box) -> bool:
        """Whether cell (i, j), as it is bent in the world, comes within MARGIN of a box."""
        left, top, right, bottom = box
        x0, y0, x1, y1 = _cell_bounds(self.frame, i, j)
        return x0 - MARGIN < right and x1 + MARGIN > left and y0 - MARGIN < bottom and y1 + MARGIN > top

    def _piece(self, kind: str, a: int, b: int) -> Pieces:
        with self._lock:
            found = self._kept.get((kind, a, b))
            if found is not None:
                self._kept.move_to_end((kind, a, b))
                return found
        made = {"cell": self._cell, "avenue": self._avenue, "motorway": self._motorway, "creek": self._creek}[kind](
            a, b
        )
        with self._lock:
            self._kept[kind, a, b] = made
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return made

    def _cell(self, i: int, j: int) -> Pieces:
        return draw_cell(self.frame, self.palette, i, j)

    def _avenue(self, i: int, j: int) -> Pieces:
        """The avenues along the top and the left of cell (i, j), and the crossing where they meet."""
        sketch, rng, frame = Sketch(sun=self.palette.sun), cell_rng(self.frame.seed, 3, i, j), self.frame
        u, v = frame.line(0, i), frame.line(1, j)
        down = np.linspace(v, frame.line(1, j + 1), 48)
        across = np.linspace(u, frame.line(0, i + 1), 48)
        self._road(sketch, rng, frame.world(np.stack([np.full(48, u), down], -1)), frame.width(0, i))
        self._road(sketch, rng, frame.world(np.stack([across, np.full(48, v)], -1)), frame.width(1, j))
        if rng.random() < 0.3:
            self._roundabout(sketch, rng, frame.world(np.array([[u, v]]))[0])
        return sketch.finish()

    def _road(self, sketch: Sketch, rng: np.random.Generator, xy: F64, width: float) -> None:
        p = self.palette
        tone = p.asphalt * rng.uniform(0.86, 1.2)
        wet = self.frame.creek.distance(xy) < self.frame.creek_half(xy) + 14
        over = wet | (self.frame.motorway.distance(xy) < MOTORWAY_HALF)
        sketch.add([ribbon(xy, width * 2 + 9)], p.paving * 1.03, layer=KERB, label=LAND)
        for run in np.split(np.arange(len(xy)), np.flatnonzero(np.diff(over.astype(int))) + 1):
            if over[run[0]] and len(run) > 1:  # a bridge has parapets, and casts a shadow
                deck = ribbon(xy[run], width * 2 + 7, flat=True)
                sketch.add([deck], p.paving * 1.1, layer=BRIDGE, label=ROAD, height=7.0)
                sketch.shadows.append(np.array([shapely.transform(deck, lambda c: c + np.asarray(sketch.sun) * 6)]))
                sketch.heights.append(np.array([6.0]))
        sketch.add([ribbon(xy, width * 2)], tone, layer=AVENUE, label=ROAD, height=7.0, rough=0.05, grain=0.035)
        sketch.lines.append(RoadLine(xy=xy, width=width, kind="avenue"))
        self._lanes(sketch, xy, width, tone)
        if width >= 20:
            self._median(sketch, rng, xy)
        else:
            sketch.add(
                shapely.polygons(dashes(xy, offset=0, width=1.0, length=9, period=24, trim=width + 22)),
                tone + 75,
                layer=MARK,
                label=ROAD,
                height=7.0,
            )
        self._traffic(sketch, rng, xy, width)
        if rng.random() < 0.7:
            self._street_trees(sketch, rng, xy, width)

    def _lanes(self, sketch: Sketch, xy: F64, width: float, tone: F64) -> None:
        for lane in np.arange(7.0, width - 3, 7.0):
            for side in (-1, 1):
                marks = dashes(
                    xy,
                    offset=side * (lane + (3 if width >= 20 else 0)),
                    width=0.9,
                    length=6,
                    period=21,
                    trim=width + 22,
                )
                sketch.add(shapely.polygons(marks), tone + 55, layer=MARK, label=ROAD, height=7.0)

    def _median(self, sketch: Sketch, rng: np.random.Generator, xy: F64) -> None:
        p, inner = self.palette, xy[4:-4]
        green = rng.random() < 0.6
        sketch.add(
            [ribbon(inner, 6)], p.lawn * 1.05 if green else p.sand * 0.98, layer=MEDIAN,
            label=VEGETATION if green else LAND, grain=0.06, height=7.0, name="park" if green else "",
        )  # fmt: skip
        ways = dashes(inner, offset=0, width=1, length=1, period=float(rng.uniform(14, 24)), trim=6).mean(axis=1)
        if green and len(ways):
            sketch.plant(ways, rng.uniform(2.2, 3.6, len(ways)), rng.uniform(-1, 1, len(ways)))

    def _traffic(self, sketch: Sketch, rng: np.random.Generator, xy: F64, width: float) -> None:
        for side in (-1, 1):
            quads = dashes(
                xy, offset=side * (width * 0.5 + 1), width=2, length=8, period=float(rng.uniform(28, 90)), trim=34
            )
            quads = quads[rng.random(len(quads)) < 0.55]
            if len(quads):
                way = quads[:, 1] - quads[:, 0]
                place_cars(
                    sketch, rng, quads.mean(axis=1), np.arctan2(way[:, 1], way[:, 0]) + (np.pi if side > 0 else 0)
                )

    def _street_trees(self, sketch: Sketch, rng: np.random.Generator, xy: F64, width: float) -> None:
        for side in (-1, 1):
            at = dashes(
                xy, offset=side * (width + 7), width=1, length=1, period=float(rng.uniform(11, 24)), trim=width + 18
            ).mean(axis=1)
            at = at[(self.frame.clearance(at) > 8) & (rng.random(len(at)) < 0.85)]
            if len(at):
                sketch.plant(at, rng.uniform(2.0, 4.4, len(at)), rng.uniform(-1, 1, len(at)))

    def _roundabout(self, sketch: Sketch, rng: np.random.Generator, at: F64) -> None:
        if self.frame.clearance(at[None])[0] < 70:
            return
        p, middle = self.palette, shapely.Point(at)
        sketch.add([middle.buffer(58, quad_segs=16)], p.paving * 1.03, layer=KERB, label=LAND)
        sketch.add([middle.buffer(53, quad_segs=16)], p.asphalt, layer=AVENUE, label=ROAD, height=7.0, rough=0.05)
        sketch.add([middle.buffer(30, quad_segs=16)], p.paving * 1.08, layer=MEDIAN, label=LAND, height=7.0)
        sketch.add(
            [middle.buffer(26, quad_segs=16)],
            p.lawn,
            layer=MEDIAN,
            label=VEGETATION,
            rough=0.12,
            height=7.0,
            name="park",
        )
        ring = np.asarray(middle.buffer(41, quad_segs=12).exterior.coords)
        sketch.lines.append(RoadLine(xy=ring, width=11.0, kind="roundabout"))
        way = rng.uniform(0, 2 * np.pi, 12)
        sketch.plant(
            at + np.stack([np.cos(way), np.sin(way)], -1) * rng.uniform(4, 20, (12, 1)),
            rng.uniform(2.5, 5, 12),
            rng.uniform(-1, 1, 12),
        )

    def _motorway(self, k: int, m: int) -> Pieces:
        sketch, rng, p = Sketch(sun=self.palette.sun), cell_rng(self.frame.seed, 4, k, m), self.palette
        s = np.linspace(m * STEP, (m + 1) * STEP, 33)
        axis = self.frame.motorway.curve(k, s)
        way = np.gradient(self.frame.motorway.curve(k, np.concatenate([[s[0] - 1], s, [s[-1] + 1]])), axis=0)[1:-1]
        side = np.stack([-way[:, 1], way[:, 0]], -1) / np.hypot(way[:, 0], way[:, 1])[:, None]
        sketch.add([ribbon(axis, MOTORWAY_HALF * 2)], p.sand * 0.97, layer=COVER, label=LAND, rough=0.15)
        for sign in (-1, 1):
            lane = axis + side * sign * 24
            sketch.add([ribbon(lane, 36)], p.asphalt * 0.9, layer=MOTORWAY, label=ROAD, rough=0.06, grain=0.03)
            sketch.lines.append(RoadLine(xy=lane, width=18.0, kind="motorway"))
            for offset in (-8.0, 0.0, 8.0):
                marks = dashes(lane, offset=offset, width=0.9, length=7, period=19)
                sketch.add(shapely.polygons(marks), p.asphalt + 60, layer=STRIPE, label=ROAD)
            for offset in (-16.5, 16.5):
                sketch.add([ribbon(lane + side * offset, 1.1, flat=True)], p.asphalt + 70, layer=STRIPE, label=ROAD)
            quads = dashes(lane, offset=float(rng.choice([-12, -4, 4, 12])), width=2, length=9, period=37)
            quads = quads[rng.random(len(quads)) < 0.6]
            place_cars(sketch, rng, quads.mean(axis=1), np.full(len(quads), np.arctan2(*way[16][::-1])))
        return sketch.finish()

    def _creek(self, k: int, m: int) -> Pieces:
        sketch, p, creek = Sketch(sun=self.palette.sun), self.palette, self.frame.creek
        s = np.linspace(m * STEP - 8, (m + 1) * STEP + 8, 67)
        axis = creek.curve(k, s)
        way = np.gradient(axis, axis=0)
        side = np.stack([-way[:, 1], way[:, 0]], -1) / np.hypot(way[:, 0], way[:, 1])[:, None]
        half = self.frame.creek_half(axis)[:, None]
        looks: tuple[tuple[float, F64, int, int], ...] = (
            (14, p.sand * 1.06, SHORE, LAND),
            (6, p.paving * 0.8, SHORE, LAND),
            (0, p.shallow * 0.5 + p.deep * 0.5, SHOAL, WATER),
            (-3, p.shallow * 0.25 + p.deep * 0.75, LAKE, WATER),
            (-8, p.deep, LAKE, WATER),
        )
        for grow, rgb, layer, label in looks:
            ring = np.concatenate([axis + side * (half + grow), (axis - side * (half + grow))[::-1]])
            sketch.add(
                [shapely.Polygon(ring)], rgb, layer=layer, label=label, rough=0.15, grain=0.02,
                name="water" if layer == SHOAL else "",
            )  # fmt: skip
        return sketch.finish()
