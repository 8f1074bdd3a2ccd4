"""Losses and scores as events for TensorBoard, whose files tensorboardX writes without TensorFlow.

Written at once and from this thread. Its ``SummaryWriter`` writes from another one, through a queue: where the disk
is full that thread dies and the training waits for it for ever, and what is in the queue at the end is lost.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Events:
    """An open file of events."""

    def __init__(self, folder: Path, *, after: int) -> None:
        """``after``: the step that a training goes on from; what older files say of later ones does not hold.

        Raises ImportError where tensorboardX is not installed, OSError where the file cannot be written.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventsWriter(str(folder / "events"), f".{after}")  # the name has a second, and no more
        if after:
            self._write(step=after + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, values: Mapping[str, float], step: int) -> None:
        """The numbers of a step. Raises OSError where they cannot be written."""
        from tensorboardX.proto.summary_pb2 import Summary

        numbers = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=Summary(value=numbers))

    def _write(self, **what: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._file.write_event(Event(wall_time=time.time(), **what))
        self._file.flush()
