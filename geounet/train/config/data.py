"""What a training file says of classes, bands, scenes, their labels, and windows."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from geounet.sections import Section
from geounet.train.config.color import Color

UNKNOWN = "unknown"
"""Says of a label that it means nothing; no class has this name."""


class ClassConfig(Section):
    """One land-use class; its value is its place in the list."""

    name: str
    color: Color
    """How maps show it."""
    label_color: Color | None = None
    """How the colour masks show it, where labels are colours."""

    @field_validator("name")
    @classmethod
    def _means_something(cls, name: str) -> str:
        if name == UNKNOWN:
            raise ValueError(f"a class is called {UNKNOWN!r}, which says of labels that they mean nothing")
        return name


class BandConfig(Section):
    """One input band; without mean and std they are computed over the training scenes."""

    name: str
    mean: float | None = None
    std: float | None = Field(default=None, gt=0)


class LayerConfig(Section):
    """Vectors that are painted onto the labels, later layers over earlier ones."""

    file: str
    layer: str | None = None
    """Where the file has several."""
    marks: str | None = None
    """The class of all features (or ``unknown``); else ``field`` says each one's."""
    field: str | None = None
    """The column with the name or the number of the class."""
    classes: dict[str, str] = Field(default={})
    """What the values of ``field`` mean, where they are no names of classes; ``unknown`` is one."""
    width: float | None = Field(default=None, gt=0)
    """Metres across a line; lines need it, or ``width_field``."""
    width_field: str | None = None
    """The column with the metres across each line; ``width`` is for lines without a number there."""

    @model_validator(mode="after")
    def _one_class(self) -> LayerConfig:
        if (self.marks is None) == (self.field is None):
            raise ValueError(f"{self.file}: expected marks (one class for all) or field (a column), one of both")
        return self


class LabelsConfig(Section):
    """Labels that need more words than a path: a raster, vectors over it, or vectors alone."""

    raster: str | None = None
    """A class raster or a colour mask; a pattern as ``image``."""
    kind: Literal["auto", "values", "colors"] = "auto"
    """What the raster holds; by default colours where the classes have label colours."""
    values: dict[int, str] = Field(default={})
    """Class of each value of a class raster, or ``unknown``; by default a class's place in the list."""
    background: str | None = None
    """Class of what no vector covers, where there is no raster; by default it is unknown."""
    layers: tuple[LayerConfig, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> LabelsConfig:
        if self.raster is None and not self.layers:
            raise ValueError("labels are empty; expected a raster, layers of vectors, or both")
        if self.raster is not None and self.background is not None:
            raise ValueError("background is for labels without a raster; leave one of both out")
        return self


class SceneConfig(Section):
    """An image and its labels."""

    name: str
    group: str
    """Scenes that show the same ground share a group; splits by group never cut one."""
    image: str | tuple[str, ...]
    """A raster, or a pattern with ``*`` whose matches, in order of name, are parts of one scene.

    Several are stacked, on the grid of the first: bands of one sensor in files of their own, or several sensors.
    """
    labels: str | LabelsConfig
    """A class raster (values 0, 1, …) or, where the classes have label colours, a colour mask; or more words."""
    columns: int = Field(default=1, ge=1)
    """Parts per row, where the patterns match several files."""
    bands: tuple[str | int, ...] | None = None
    """Bands to read, by name or number from 1; by default those with the names of ``bands``, else the first."""
    nodata: float | None = None
    """Replaces what the image declares."""
    mask: str | None = None
    """A raster whose non-zero pixels are left out (clouds)."""


class ChipsConfig(Section):
    """A folder of small images with a mask each."""

    name: str
    images: str
    """Pattern with ``*``; images and labels are paired in order of name."""
    labels: str
    group: str
    group_by: str | None = None
    """A regular expression; what its first group finds in an image's path is added to ``group``."""
    kind: Literal["auto", "values", "colors"] = "auto"
    values: dict[int, str] = Field(default={})
    bands: tuple[str | int, ...] | None = None
    nodata: float | None = None

    @model_validator(mode="after")
    def _pattern(self) -> ChipsConfig:
        if self.group_by is not None:
            try:
                groups = re.compile(self.group_by).groups
            except re.error as error:
                raise ValueError(f"group_by {self.group_by!r} is no regular expression: {error}") from error
            if groups < 1:
                raise ValueError(f"group_by {self.group_by!r} has no group; put what names it in parentheses")
        return self


class SampleConfig(Section):
    """Scenes drawn by ``geounet sample``: no photograph, but truth at every pixel."""

    seeds: tuple[int, ...] = ()
    green_seeds: tuple[int, ...] = ()
    """Of towns in a green climate, with lawns and woods."""
    size: int = Field(default=2048, ge=256)
    group: str = "sample"


class BlocksConfig(Section):
    """Squares of every scene that are held out to validate on."""

    side: int = Field(default=1024, ge=16)
    """Pixels."""
    share: float = Field(default=0.2, gt=0, lt=1)
    """Of all squares; at least one is held out."""
    buffer: int = Field(default=128, ge=0)
    """Pixels around a held-out square that are not learned from either."""


class DataConfig(Section):
    """Where scenes come from and how windows are drawn from them."""

    root: str = "."
    """Folder that the scenes' paths start from; relative to the training file."""
    scenes: tuple[SceneConfig, ...] = ()
    chips: tuple[ChipsConfig, ...] = ()
    samples: SampleConfig = SampleConfig()
    sample_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the windows that come from sample scenes."""
    validate_groups: tuple[str, ...] = ()
    """Groups that are never trained on; they say which checkpoint is best."""
    validate_scenes: tuple[str, ...] = ()
    """Single scenes, likewise."""
    validate_blocks: BlocksConfig | None = None
    """Squares of all scenes, instead of whole ones."""
    holdout_groups: tuple[str, ...] = ()
    """Groups that are neither trained nor validated on: for ``geounet evaluate`` at the end."""
    allow_overlap: bool = False
    """Take scenes on both sides of the split that show common ground; the scores then say little."""
    ignore_colors: tuple[Color, ...] = ()
    """Label colours that mean nothing."""
    crop: int = Field(default=256, ge=2)
    draw: Literal["balanced", "random", "lattice"] = "balanced"
    """Windows around pixels of each class, around any labelled pixel, or every place of a lattice once in turn."""
    class_shares: tuple[float, ...] | None = None
    """``balanced``: how often a window is drawn around each class; equal by default."""
    cache_gb: float | None = Field(default=None, ge=0)
    """Disk for decoded scenes; what does not fit is read from its rasters. By default half of what is free."""
    readers: int = Field(default=1, ge=1)
    """Threads that draw windows ahead of the network."""

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        names = [*(s.name for s in self.scenes), *(c.name for c in self.chips)]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two scenes are called {twice[0]!r}; expected a name for each")
        both = sorted(set(self.validate_groups) & set(self.holdout_groups))
        if both:
            raise ValueError(f"group {both[0]!r} is in validate_groups and in holdout_groups; leave one out")
        if self.validate_blocks is not None and (self.validate_groups or self.validate_scenes):
            raise ValueError("validate_blocks holds squares of all scenes out; leave the other validate_… out")
        return self
