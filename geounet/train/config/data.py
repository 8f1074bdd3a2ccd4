"""What a training file says of scenes, labels, windows and augmentation."""

from __future__ import annotations

from pydantic import Field

from geounet.train.config.section import Color, Section


class ClassConfig(Section):
    """One land-use class; its value is its place in the list."""

    name: str
    color: Color
    """How maps show it."""
    label_color: Color | None = None
    """How the colour masks show it, where labels are colours."""


class BandConfig(Section):
    """One input band; without mean and std they are computed over the training scenes."""

    name: str
    mean: float | None = None
    std: float | None = Field(default=None, gt=0)


class SceneConfig(Section):
    """An image and its labels."""

    name: str
    group: str
    """Scenes that show the same ground share a group; splits never cut one."""
    image: str
    """A raster, or a pattern with ``*`` whose matches, in order of name, are parts of one scene."""
    labels: str
    """A class raster (values 0, 1, …) or, where the classes have label colours, a colour mask; as ``image``."""
    columns: int = Field(default=1, ge=1)
    """Parts per row, where the patterns match several files."""


class SampleConfig(Section):
    """Scenes drawn by ``geounet sample``: no photograph, but truth at every pixel."""

    seeds: tuple[int, ...] = ()
    size: int = Field(default=2048, ge=256)
    group: str = "sample"


class DataConfig(Section):
    """Where scenes come from and how windows are drawn from them."""

    root: str = "."
    """Folder that the scenes' paths start from; relative to the training file."""
    scenes: tuple[SceneConfig, ...] = ()
    samples: SampleConfig = SampleConfig()
    sample_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the windows that come from sample scenes."""
    validate_groups: tuple[str, ...] = ()
    """Groups that are never trained on; they say which checkpoint is best."""
    ignore_colors: tuple[Color, ...] = ()
    """Label colours that mean nothing."""
    crop: int = Field(default=256, ge=2)
    class_shares: tuple[float, ...] | None = None
    """How often a window is drawn around each class; equal by default."""


class AugmentConfig(Section):
    """What may happen to a window; every strength 0 is off."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Ground side of a window over the crop's side; log-uniform."""
    symmetries: bool = True
    """One of the eight flips and quarter turns."""
    rotate: float = Field(default=0.0, ge=0, le=180)
    """Largest rotation in degrees, either way."""
    rotate_share: float = Field(default=0.5, ge=0, le=1)
    brightness: float = Field(default=0.0, ge=0)
    """Largest shift, as a share of 255."""
    contrast: float = Field(default=0.0, ge=0)
    """Largest absolute logarithm of the factor; likewise gamma, gain and saturation."""
    gamma: float = Field(default=0.0, ge=0)
    gain: float = Field(default=0.0, ge=0)
    """Per band."""
    saturation: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0)
    """Largest standard deviation in pixels; half of the windows are blurred."""
    noise: float = Field(default=0.0, ge=0)
    """Largest standard deviation, as a share of 255; half of the windows are noisy."""
