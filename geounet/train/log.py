"""What a training leaves to look at: ``metrics.csv``, events for TensorBoard, curves."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from geounet.io.atomic import naming
from geounet.train.events import Events
from geounet.train.state import METRICS, Training, TrainStep

EVENTS = "tensorboard"


class Log:
    """``metrics.csv``: one line per report, scores where they were computed; the same as events for TensorBoard."""

    def __init__(self, training: Training) -> None:
        self.path = training.folder / METRICS
        self.columns = ["step", "loss", "lr", *(f"loss_{head.name}" for head in training.spec.heads), "score"]
        for head in training.spec.heads:
            keys = ["mean_iou", "accuracy", *(f"iou_{c.name}" for c in head.classes)]
            self.columns += [f"{head.name}_{key}" for key in keys]
        self._keep_until(training.step)
        self.events = _open_events(training) if training.config.tensorboard else None

    def _keep_until(self, step: int) -> None:
        """Lines after the checkpoint that a resumed run starts from will be written again."""
        kept = [row for row in read_metrics(self.path) if int(row["step"]) <= step] if step else []
        staged = self.path.with_suffix(".tmp")
        with naming(self.path), staged.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        staged.replace(self.path)

    def write(self, event: TrainStep) -> None:
        """Add a line."""
        losses = {f"loss_{name}": f"{value:.5f}" for name, value in event.losses.items()}
        row: dict[str, Any] = {
            "step": event.step,
            "loss": f"{event.loss:.5f}",
            "lr": f"{event.lr:.3e}",
            **losses,
            **(event.scores or {}),
        }
        with naming(self.path), self.path.open("a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, self.columns, restval="", extrasaction="ignore").writerow(row)
        if self.events is not None:
            values = {name: float(value) for name, value in row.items() if name != "step"}
            self.events.write(values, event.step)


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The lines of ``metrics.csv``; none where there is no such file, a half-written last one left out."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [row for row in rows if (row.get("step") or "").isdigit() and None not in row.values()]


def _open_events(training: Training) -> Events | None:
    """None where tensorboardX is not installed."""
    try:
        return Events(training.folder / EVENTS, after=training.step)
    except ImportError:
        return None


def draw_curves(metrics: Path) -> bytes | None:
    """A PNG of the losses and the scores over the steps; None where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    rows = read_metrics(metrics)
    figure = Figure(figsize=(9, 7), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    names = list(rows[0]) if rows else []
    for name in (n for n in names if n.startswith("loss")):
        _draw(above, rows, name)
    for name in (n for n in names if n == "score" or "_iou_" in n):
        _draw(below, rows, name)
    above.set(ylabel="loss")
    below.set(ylabel="IoU", xlabel="step", ylim=(0, 1))
    for axes in (above, below):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small", ncols=2)
    out = io.BytesIO()
    canvas.print_png(out)
    return out.getvalue()


def _draw(axes: Any, rows: list[dict[str, str]], name: str) -> None:
    points = [(int(row["step"]), float(row[name])) for row in rows if row[name] != ""]
    if points:
        bold = name in ("loss", "score")
        axes.plot(*zip(*points, strict=True), label=name, marker=".", linewidth=2 if bold else 1)
