"""Progress as a bar on a terminal, as plain lines in a log, as JSON for machines."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import click
import psutil

from geounet.cli import show
from geounet.io import human
from geounet.run.progress import Progress

_LOG_EVERY = 10.0  # seconds between lines of a log
_FAMILY_EVERY = 5.0  # seconds between searches for child processes, which look at every process of the machine


def choose_progress(*, as_json: bool, quiet: bool) -> Progress:
    """The progress that suits where the output goes."""
    if as_json:
        return JsonProgress()
    if quiet:
        return Progress()
    return BarProgress() if sys.stderr.isatty() else LogProgress()


class CountingProgress(Progress):
    """Knows the stage, what is done, how fast it goes and how much memory the processes hold."""

    def __init__(self) -> None:
        self._device = "cpu"
        self._lock = threading.Lock()
        self._process = psutil.Process()
        self._family = [self._process]
        self._looked = float("-inf")
        self.stage, self.unit = "", ""
        self.total, self.done, self.pixels_per_step = 0, 0, 0.0
        self.started = time.monotonic()

    def device(self, name: str) -> None:
        """Shown from now on."""
        self._device = name

    def start(self, stage: str, *, total: int, unit: str, pixels_per_step: float = 0.0, note: str = "") -> None:
        """Count from zero; the note is shown at once."""
        self.stage, self.unit, self.total, self.pixels_per_step = stage, unit, total, pixels_per_step
        self.done, self.started = 0, time.monotonic()
        self.show(note, force=True)

    def advance(self, steps: int = 1) -> None:
        """Count, and show that from time to time."""
        with self._lock:
            self.done += steps
            self.show("")

    def finish(self) -> None:
        """Show the end of the stage."""
        self.done = self.total
        self.show("done", force=True)

    def show(self, note: str, *, force: bool = False) -> None:
        """Print where the stage is."""

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return time.monotonic() - self.started

    @property
    def mpx_per_second(self) -> float:
        """Million scene pixels per second in this stage."""
        return self.done * self.pixels_per_step / 1e6 / max(self.seconds, 1e-6)

    def memory(self) -> int:
        """Resident bytes of this process and its children."""
        if time.monotonic() - self._looked > _FAMILY_EVERY:
            self._looked = time.monotonic()
            self._family = [self._process, *self._process.children(recursive=True)]
        return sum(_resident(process) for process in self._family)

    def facts(self) -> dict[str, Any]:
        """Numbers of the moment."""
        left = self.seconds / self.done * (self.total - self.done) if 0 < self.done <= self.total else None
        return {
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "unit": self.unit,
            "seconds": round(self.seconds, 2),
            "seconds_left": None if left is None else round(left, 1),
            "mpx_per_second": round(self.mpx_per_second, 3) if self.pixels_per_step else None,
            "memory": self.memory(),
            "device": self._device,
        }


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


class LogProgress(CountingProgress):
    """One plain line per stage, and one every ten seconds."""

    _told = 0.0

    def show(self, note: str, *, force: bool = False) -> None:
        """A line such as ``tiles 120/441  4.1 Mpx/s  35.2 s left  cpu  812 MiB``."""
        if not force and time.monotonic() - self._told < _LOG_EVERY:
            return
        self._told = time.monotonic()
        if note == "" and not self.done:  # the beginning of a stage is no news, unless there is something to say
            return
        facts = self.facts()
        of = f" {self.unit}" if self.unit != self.stage else ""
        parts = [f"{self.stage} {min(self.done, self.total)}/{self.total}{of}"]
        if self.done and self.pixels_per_step:
            parts.append(f"{self.mpx_per_second:.2f} Mpx/s")
        if note == "done":
            parts.append(f"in {human.duration(self.seconds)}")
        elif facts["seconds_left"]:
            parts.append(f"{human.duration(facts['seconds_left'])} left")
        parts += [self._device, human.size(facts["memory"])]
        parts += [note] if note not in ("", "done") else []
        click.echo("  ".join(parts), err=True)

    def warn(self, message: str) -> None:
        """A line on standard error."""
        click.echo(f"warning: {message}", err=True)


class JsonProgress(CountingProgress):
    """One JSON object per line, at most two a second."""

    _told = 0.0

    def show(self, note: str, *, force: bool = False) -> None:
        """An object with the event ``progress``."""
        if not force and time.monotonic() - self._told < 0.5:
            return
        self._told = time.monotonic()
        show.json_line("progress", note=note, **self.facts())

    def warn(self, message: str) -> None:
        """An object with the event ``warning``."""
        show.json_line("warning", message=message)


class BarProgress(CountingProgress):
    """A bar with tiles, speed, time left, device and memory."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=self._console,
        )
        self._task: Any = None
        self._measured = 0.0
        self._state = ""

    def show(self, note: str, *, force: bool = False) -> None:
        """Move the bar; memory is looked up once a second."""
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(self.stage, total=self.total, unit=self.unit, speed="", state="")
            if note:
                self._bar.console.print(note, highlight=False, markup=False)
        now = time.monotonic()
        if force or now - self._measured > 1:
            self._measured = now
            self._state = f"{self._device} {human.size(self.memory())}"
        speed = f"{self.mpx_per_second:.2f} Mpx/s" if self.pixels_per_step and self.done else ""
        self._bar.update(self._task, completed=min(self.done, self.total), speed=speed, state=self._state)

    def finish(self) -> None:
        """Leave the full bar on the screen."""
        super().finish()
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        if self._task is not None:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None

    def warn(self, message: str) -> None:
        """A line above the bar."""
        self._console.print("[yellow]warning:[/] ", end="")
        self._console.print(message, highlight=False, markup=False)
