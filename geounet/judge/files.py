"""The small data file: scenes with their truth, without all that a training wants to know."""

from __future__ import annotations

from pydantic import model_validator

from geounet.sections import Section
from geounet.train.config import ChipsConfig, Color, SceneConfig


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


class JudgedChips(ChipsConfig):
    """A folder of small images with a mask each."""

    group: str = ""


class DataFile(Section):
    """The whole file."""

    root: str = "."
    """Folder that the paths start from; relative to the file."""
    scenes: tuple[JudgedScene, ...] = ()
    chips: tuple[JudgedChips, ...] = ()
    classes: tuple[NamedClass, ...] = ()
    ignore_colors: tuple[Color, ...] = ()
    """Label colours that mean nothing."""

    @model_validator(mode="after")
    def _different_names(self) -> DataFile:
        names = [*(s.name for s in self.scenes), *(c.name for c in self.chips)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two scenes are called {twice!r}; expected a name for each")
        return self
