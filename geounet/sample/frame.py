"""Where things lie: a gently bent lattice of avenues, and long corridors (motorways, creeks) across it.

Frames: *world* = pixels of 0.5 m, x to the right, y down, origin at the scene's middle. *Street* = (u, v), the
straight lattice that a smooth warp bends into the world. All of it follows from the seed; nothing is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

PITCH = 760
"""Mean distance of avenues, in pixels."""
JITTER = 130
REACH = 170.0
"""Upper bound of the warp's displacement, in pixels."""
_OFFSET = 1 << 20  # numpy seeds are not negative; cell numbers may be


def cell_rng(seed: int, tag: int, i: int, j: int) -> np.random.Generator:
    """The generator of one cell for one purpose."""
    return np.random.default_rng([seed, tag, i + _OFFSET, j + _OFFSET])


@dataclass(frozen=True)
class Corridor:
    """A family of long curves: ``t = k * period + start + swing * sin(s / wave + k)`` in turned coordinates."""

    angle: float
    period: float
    start: float
    swing: float
    wave: float

    def turned(self, xy: F64) -> tuple[F64, F64]:
        """World (n, 2) to coordinates along and across the family."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return xy[:, 0] * cos + xy[:, 1] * sin, xy[:, 1] * cos - xy[:, 0] * sin

    def bend(self, s: F64, k: NDArray[np.float64] | float) -> F64:
        """Across-coordinate of curve ``k`` at ``s``."""
        return np.asarray(k * self.period + self.start + self.swing * np.sin(s / self.wave + 1.7 * np.asarray(k)))

    def curve(self, k: int, s: ArrayLike) -> F64:
        """World points (n, 2) of curve ``k``."""
        along = np.asarray(s, dtype=np.float64)
        across = self.bend(along, float(k))
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.stack([along * cos - across * sin, along * sin + across * cos], axis=-1)

    def distance(self, xy: F64) -> F64:
        """Distance in pixels of world points (n, 2) from the nearest curve, to first order."""
        s, t = self.turned(xy)
        k = np.round((t - self.start) / self.period)
        slope = self.swing / self.wave
        return np.asarray(np.abs(t - self.bend(s, k)) / np.sqrt(1 + slope * slope))

    def near(self, box: tuple[float, float, float, float], margin: float) -> tuple[range, tuple[float, float]]:
        """Numbers of the curves that may touch a world box, and the range of ``s`` over it."""
        left, top, right, bottom = box
        s, t = self.turned(np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64))
        reach = self.swing + margin
        first = int(np.floor((t.min() - reach - self.start) / self.period))
        last = int(np.ceil((t.max() + reach - self.start) / self.period))
        return range(first, last + 1), (float(s.min() - margin), float(s.max() + margin))


@dataclass(frozen=True)
class Frame:
    """The bent lattice of a seed."""

    seed: int
    angle: float
    waves: tuple[tuple[float, float, float, float, float], ...]
    """Displacements: amplitude across x, across y, wave numbers in u and v, phase."""
    motorway: Corridor
    creek: Corridor

    def world(self, uv: F64) -> F64:
        """Street coordinates (n, 2) to world pixels (n, 2)."""
        u, v = uv[:, 0], uv[:, 1]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x, y = u * cos - v * sin, u * sin + v * cos
        for across, down, ku, kv, phase in self.waves:
            wave = np.sin(ku * u + kv * v + phase)
            x, y = x + across * wave, y + down * wave
        return np.stack([x, y], axis=-1)

    def line(self, axis: int, index: int) -> float:
        """Street coordinate of avenue ``index`` across ``axis`` (0: u, 1: v)."""
        return _avenue(self.seed, axis, index)[0]

    def width(self, axis: int, index: int) -> float:
        """Paved width in metres of avenue ``index`` across ``axis``."""
        return _avenue(self.seed, axis, index)[1]

    def cells(self, box: tuple[float, float, float, float], margin: float) -> list[tuple[int, int]]:
        """Cells that may reach into a world box, in order."""
        left, top, right, bottom = box
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u, v = corners[:, 0] * cos + corners[:, 1] * sin, corners[:, 1] * cos - corners[:, 0] * sin
        grow = margin + REACH + JITTER
        us = range(int(np.floor((u.min() - grow) / PITCH)) - 1, int(np.ceil((u.max() + grow) / PITCH)) + 1)
        vs = range(int(np.floor((v.min() - grow) / PITCH)) - 1, int(np.ceil((v.max() + grow) / PITCH)) + 1)
        return [(i, j) for j in vs for i in us]

    def clearance(self, xy: F64) -> F64:
        """Distance in pixels from motorway verges and creek banks; negative inside them."""
        road = self.motorway.distance(xy) - MOTORWAY_HALF
        return np.asarray(np.minimum(road, self.creek.distance(xy) - self.creek_half(xy)))

    def creek_half(self, xy: F64) -> F64:
        """Half the width of the creek, in pixels, at world points (n, 2)."""
        s, _ = self.creek.turned(xy)
        return np.asarray(74 + 26 * np.sin(s / 310) + 14 * np.sin(s / 83 + 1))


MOTORWAY_HALF = 62.0
"""Half the width in pixels of the motorway's corridor, verges included."""


@lru_cache(maxsize=4096)
def _avenue(seed: int, axis: int, index: int) -> tuple[float, float]:
    rng = cell_rng(seed, 20 + axis, index, 0)
    # The scene's middle lies inside cell (0, 0), off its centre: a small scene sees an avenue, too.
    return float((index - 0.30) * PITCH + rng.uniform(-JITTER, JITTER)), float(rng.choice([11, 14, 17, 24]))


def make_frame(seed: int) -> Frame:
    """The frame of a seed."""
    rng = np.random.default_rng([seed, 12])
    angle = float(rng.uniform(-0.6, 0.6))
    waves = []
    for amplitude, length in ((52, 2700), (44, 2300), (16, 980), (13, 860)):
        way = rng.uniform(0, 2 * np.pi)
        turn = rng.uniform(0, 2 * np.pi)
        k = 2 * np.pi / length
        waves.append(
            (amplitude * np.cos(turn), amplitude * np.sin(turn), k * np.cos(way), k * np.sin(way),
             float(rng.uniform(0, 2 * np.pi)))
        )  # fmt: skip
    road = angle + rng.choice([-1, 1]) * rng.uniform(0.45, 0.8)
    return Frame(
        seed=seed,
        angle=angle,
        waves=tuple(tuple(float(x) for x in wave) for wave in waves),  # type: ignore[misc]
        motorway=Corridor(float(road), 7400.0, float(rng.choice([-1, 1]) * rng.uniform(700, 1150)), 260.0, 1300.0),
        creek=Corridor(
            float(road + np.pi / 2 + rng.uniform(-0.3, 0.3)), 8200.0,
            float(rng.choice([-1, 1]) * rng.uniform(800, 1300)), 330.0, 1000.0,
        ),
    )  # fmt: skip
