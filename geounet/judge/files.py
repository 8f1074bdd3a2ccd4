"""The small data file: scenes with their truth, without all that a training wants to know."""

from __future__ import annotations

from geounet.sections import Section
from geounet.train.config import Color, SceneConfig


class NamedClass(Section):
    """A class of the labels; its value is its place in the list."""

    name: str
    color: Color = "#808080"
    """How pictures show it."""
    label_color: Color | None = None
    """How the colour masks show it, where labels are colours."""


class JudgedScene(SceneConfig):
    """An image and its labels, and true road lines where somebody drew them."""

    group: str = ""
    lines: str | None = None
    """A vector file of road centre-lines."""


class DataFile(Section):
    """The whole file."""

    root: str = "."
    """Folder that the paths start from; relative to the file."""
    scenes: tuple[JudgedScene, ...]
    classes: tuple[NamedClass, ...] = ()
    ignore_colors: tuple[Color, ...] = ()
    """Label colours that mean nothing."""
