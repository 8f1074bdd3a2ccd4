"""What there is to say about a finished run: the plain values that `report.html` and `item.json` are made
of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from geounet.grid.geobox import GeoBox
from geounet.model.spec import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Output:
    """One file that the run left."""

    path: Path
    bytes: int
    role: Literal["labels", "confidence", "polygons", "lines", "nodes", "other"]
    head: str | None = None
    """Name of the head that it belongs to."""


@dataclass(frozen=True, kw_only=True)
class ClassArea:
    """How much of the scene one class covers."""

    head: str
    value: int
    pixels: int
    square_metres: float | None = None
    """On the ground; None where the scene has no CRS."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """A finished run. No clock in it: what is passed in decides every byte that is written."""

    scene: str
    """Name of the scene, for people."""
    geobox: GeoBox
    """The grid of the outputs."""
    bands: tuple[str, ...]
    """Names of the scene's bands that the model saw, in the model's order."""
    dtype: str
    nodata: float | None = None
    fingerprint: str
    """Of the scene, hex."""
    datetime: str | None
    """RFC 3339 time of the scene (when it was taken, else when its file was made), not of the run; None where
    nobody knows."""
    model: ModelSpec
    model_digest: str
    outputs: tuple[Output, ...]
    areas: tuple[ClassArea, ...] = ()
    lengths: Mapping[str, float] = field(default_factory=dict)
    """Metres of centre-lines, by layer; pixels where the scene has no CRS."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """How the run was done, as far as it decides the result: tile, overlap, precision, …"""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage. Leave empty where outputs must not differ from run to run."""
    warnings: tuple[str, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions by name of the library."""
    item_id: str | None = None
    """Of the STAC item, where scene and model do not name it."""
    catalog_href: str | None = None
    """The folder of the catalogue that lists the item, relative to the output folder; None where there is none."""
    scene_href: str | None = None
    """Where the scene is, relative to the output folder or a URL."""
