"""What a training file says of augmentation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from geounet.sections import Section

Share = Annotated[float, Field(ge=0, le=1)]
Range = tuple[Share, Share]


class PaintConfig(Section):
    """Colours that a class may have: ranges of hue, saturation and value, each from 0 to 1."""

    hue: Range = (0.0, 1.0)
    """0 is red, 1/3 green, 2/3 blue."""
    saturation: Range
    value: Range
    weight: float = Field(default=1.0, gt=0)
    """How often, beside the other paints of the class."""

    @model_validator(mode="after")
    def _ordered(self) -> PaintConfig:
        for name in ("hue", "saturation", "value"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} {[low, high]}; expected the smaller number first")
        return self


class RelabelConfig(Section):
    """One class that becomes another: painted like it, and labelled so. Land becomes lawn, which is vegetation."""

    of: str
    becomes: str
    share: Share = 0.25
    """Of the windows that are recolored."""
    paints: tuple[PaintConfig, ...] = Field(min_length=1)


class RecolorConfig(Section):
    """Another palette: the classes of a window get other colours, and keep their texture. For three bands."""

    share: Share = 0.0
    """Of the windows of photographed scenes."""
    drawn_share: Share = 0.0
    """Of the windows of drawn scenes."""
    class_share: Share = 0.65
    """Chance of each class in such a window."""
    paints: dict[str, tuple[PaintConfig, ...]]
    """By class; an empty list changes only its brightness. A class that is not named stays as it is."""
    relabel: RelabelConfig | None = None


class AugmentConfig(Section):
    """What may happen to a window; every strength 0 is off."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Ground side of a window over the crop's side; log-uniform."""
    symmetries: bool = True
    """One of the eight flips and quarter turns."""
    rotate: float = Field(default=0.0, ge=0, le=180)
    """Largest rotation in degrees, either way."""
    rotate_share: float = Field(default=0.5, ge=0, le=1)
    elastic: float = Field(default=0.0, ge=0, le=64)
    """Largest shift of a pixel by a smooth, random field, in pixels; half of the windows are bent."""
    elastic_length: float = Field(default=32.0, ge=4)
    """Pixels over which the field changes."""
    brightness: float = Field(default=0.0, ge=0)
    """Largest shift, as a share of a band's range: 255, or for other pixel types 6 standard deviations."""
    contrast: float = Field(default=0.0, ge=0)
    """Largest absolute logarithm of the factor; likewise gamma, gain and saturation."""
    gamma: float = Field(default=0.0, ge=0)
    gain: float = Field(default=0.0, ge=0)
    """Per band."""
    saturation: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0)
    """Largest standard deviation in pixels; half of the windows are blurred."""
    noise: float = Field(default=0.0, ge=0)
    """Largest standard deviation, as a share of the range; half of the windows are noisy."""
    sensor_share: Share = 0.0
    """Share of the windows that another sensor took (`geounet.train.sensor`), instead of the strengths from
    ``brightness`` to ``noise``."""
    recolor: RecolorConfig | None = None
    """Another palette by class."""
    channel_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Chance of each band to be wiped out; one is always left."""
    cutmix: float = Field(default=0.0, ge=0, le=1)
    """Share of the windows into which a rectangle of another window is pasted."""

    @model_validator(mode="after")
    def _scale(self) -> AugmentConfig:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale {list(self.scale)}; expected two numbers above 0, the smaller first")
        return self
