"""A sheet of augmented windows to look at, as the network gets them, each beside its labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from geounet.errors import ConfigError, RequestError
from geounet.io.atomic import publish
from geounet.model.spec import NODATA, ModelSpec, rgb
from geounet.train.config import TrainConfig, load_config
from geounet.train.data import Scaling, WindowSource
from geounet.train.material import make_spec, read_material

COUNT, COLUMNS = 24, 4
"""Windows on the sheet, and pairs in a row."""
_GAP, _LEGEND = 6, 26
_PAPER, _INK = (255, 255, 255), (40, 40, 40)
_UNKNOWN = (0, 0, 0)
_SHADE = 0.55
"""How much of the label's colour lies over the picture."""


def draw_sheet(config_path: str | Path, target: str | Path, *, cache: str | Path, count: int = COUNT) -> Path:
    """Write a PNG of the first windows that a training would see; returns its path.

    Left the picture, right its labels over it; black where nothing is known. Other than three bands are shown by
    those named red, green, blue, or else by the first. ``cache`` is the folder of decoded scenes.

    Raises ConfigError and SceneError as a training does.
    """
    file, path = Path(config_path), Path(target)
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--samples {path}: expected a file that ends in .png")
    config = load_config(file)
    material = read_material(config, base=file.parent, cache=Path(cache))
    spec = make_spec(config, material)
    scaling = Scaling.of(spec.bands, spec.dtype)
    source = WindowSource(material.learned, config, scaling, surveys=material.surveys, spec=spec)
    pairs: list[tuple[Tensor, Tensor]] = []
    step = 0
    while len(pairs) < count:
        pixels, labels = source.batch(step)
        pairs += zip(pixels, labels, strict=True)
        step += 1
    pictures = [_pair(pixels, labels, source.scaling, spec, config) for pixels, labels in pairs[:count]]
    _write(path, _with_legend(_tiled(pictures), config))
    return path


def _pair(
    pixels: Tensor, labels: Tensor, scaling: Scaling, spec: ModelSpec, config: TrainConfig
) -> NDArray[np.uint8]:
    """A window and its labels side by side, ``(crop, 2 crop + gap, 3)``."""
    raw = pixels * scaling.std + scaling.mean
    shown = ((raw - scaling.low) / (scaling.top - scaling.low))[_shown_bands(spec)]
    picture = (shown.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()  # (H, W, 3)
    colors = np.full((256, 3), _UNKNOWN, np.uint8)
    for value, entry in enumerate(config.classes):
        colors[value] = rgb(entry.color)
    over = picture * (1 - _SHADE) + colors[labels.numpy()] * _SHADE
    over[labels.numpy() == NODATA] = _UNKNOWN
    gap = np.full((len(picture), 2, 3), _PAPER, np.uint8)
    return np.concatenate([picture, gap, over.astype(np.uint8)], axis=1)


def _shown_bands(spec: ModelSpec) -> list[int]:
    """Three bands to show as red, green and blue."""
    names = [band.name for band in spec.bands]
    if {"red", "green", "blue"} <= set(names):
        return [names.index(name) for name in ("red", "green", "blue")]
    return [0, 1, 2] if len(names) >= 3 else [0, 0, 0]


def _tiled(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The pictures in rows, on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // COLUMNS)
    columns = min(COLUMNS, len(pictures))
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _PAPER, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = (
            _GAP + place * (size + _GAP)
            for place, size in zip(divmod(number, COLUMNS), (height, width), strict=True)
        )
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _with_legend(sheet: NDArray[np.uint8], config: TrainConfig) -> NDArray[np.uint8]:
    """The names of the classes with their colours, under the sheet."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (sheet.shape[1], sheet.shape[0] + _LEGEND), _PAPER)
    image.paste(Image.fromarray(sheet))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    x, y = _GAP, sheet.shape[0]
    entries = [(c.name, rgb(c.color)) for c in config.classes]
    for name, color in [*entries, ("unknown", _UNKNOWN)]:
        draw.rectangle((x, y + 3, x + 14, y + 17), fill=color, outline=_INK)
        draw.text((x + 20, y + 2), name, fill=_INK, font=font)
        x += 36 + round(draw.textlength(name, font=font))
    return np.asarray(image)


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    if not path.parent.is_dir():
        raise RequestError(f"--samples {path}: there is no folder {path.parent}; make it first")
    with publish(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")
