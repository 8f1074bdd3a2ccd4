"""Progress of a training: a bar on a terminal, plain lines in a log, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from geounet.cli import show

if TYPE_CHECKING:
    from geounet.train import TrainStep


class TrainProgress:
    """Says nothing."""

    def tell(self, event: TrainStep) -> None:
        """Losses, and scores where they were computed."""

    def tick(self, step: int) -> None:
        """A step is done."""

    def begin_fold(self, number: int, folds: int, groups: tuple[str, ...]) -> None:
        """One of several trainings begins, validated on these groups."""

    def warn(self, message: str) -> None:
        """Something is missing."""

    def close(self) -> None:
        """Give the terminal back."""


class LogTrainProgress(TrainProgress):
    """Plain lines on standard error."""

    def tell(self, event: TrainStep) -> None:
        """A line such as ``step 25/1600  loss 1.204  0.75 s/step``."""
        click.echo(str(event), err=True)

    def begin_fold(self, number: int, folds: int, groups: tuple[str, ...]) -> None:
        """A line such as ``fold 1 of 3: validated on dubai-2``."""
        click.echo(_fold(number, folds, groups), err=True)

    def warn(self, message: str) -> None:
        """A line on standard error."""
        click.echo(f"warning: {message}", err=True)


class JsonTrainProgress(TrainProgress):
    """One JSON object per line."""

    def tell(self, event: TrainStep) -> None:
        """An object with the event ``step``."""
        show.json_line("step", **vars(event))

    def begin_fold(self, number: int, folds: int, groups: tuple[str, ...]) -> None:
        """An object with the event ``fold``."""
        show.json_line("fold", number=number, folds=folds, validated_on=groups)

    def warn(self, message: str) -> None:
        """An object with the event ``warning``."""
        show.json_line("warning", message=message)


class BarTrainProgress(TrainProgress):
    """A bar with steps, loss, score and time left; validations as lines above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("step"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: Any = None
        self._score = ""

    def tell(self, event: TrainStep) -> None:
        """Beside the bar; a line of its own where there are scores."""
        if event.scores is not None:
            self._score = f"  score {event.scores['score']:.3f}"
            self._bar.console.print(str(event), highlight=False, markup=False)
        self._show(total=event.steps, state=f"loss {event.loss:.3f}  {event.seconds_per_step:.2f} s{self._score}")

    def tick(self, step: int) -> None:
        """Move the bar."""
        self._show(completed=step)

    def _show(self, **what: Any) -> None:
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=None, state="")
            if "completed" in what:  # a resumed training: what was done before says nothing of the time left
                self._bar.reset(self._task, completed=what["completed"])
        self._bar.update(self._task, **what)

    def begin_fold(self, number: int, folds: int, groups: tuple[str, ...]) -> None:
        """A line above the bar, which begins again."""
        self._score = ""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        self._bar.console.print(_fold(number, folds, groups), highlight=False, markup=False)

    def warn(self, message: str) -> None:
        """A line above the bar."""
        self._bar.console.print(f"warning: {message}", highlight=False, markup=False)

    def close(self) -> None:
        """Leave the bar on the screen."""
        if self._bar.live.is_started:
            self._bar.stop()


def _fold(number: int, folds: int, groups: tuple[str, ...]) -> str:
    return f"fold {number} of {folds}: validated on {', '.join(groups)}"


@contextmanager
def choose_train_progress(*, as_json: bool, quiet: bool) -> Iterator[TrainProgress]:
    """The progress that suits where the output goes."""
    if as_json:
        progress: TrainProgress = JsonTrainProgress()
    elif quiet:
        progress = TrainProgress()
    else:
        progress = BarTrainProgress() if sys.stderr.isatty() else LogTrainProgress()
    try:
        yield progress
    finally:
        progress.close()
