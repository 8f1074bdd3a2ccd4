"""Events for TensorBoard: all that metrics.csv says, at once; where the disk is full nobody waits for ever."""

from __future__ import annotations

import csv
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from geounet.errors import Interrupted
from geounet.train import train
from geounet.train.events import Events
from geounet.train.state import METRICS


def events_in(folder: Path) -> list[Any]:
    """TFRecords (length, checksum, bytes, checksum) of all files of a folder, in order of name."""
    found = []
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
    return found


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_events_say_what_the_table_says_also_of_a_training_that_goes_on(
    tiny: Callable[..., Path], tmp_path: Path
) -> None:
    def stop(step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, Interrupted)):
        train(tiny(), tmp_path / "out", tick=stop, device="cpu")
    train(tiny(), tmp_path / "out", device="cpu")
    events = events_in(tmp_path / "out" / "tensorboard")
    assert [e.step for e in events if e.session_log.status == SessionLog.START] == [5]
    told = {(e.step, v.tag): v.simple_value for e in events for v in e.summary.value}
    with (tmp_path / "out" / METRICS).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["3", "6"]
    for row in rows:
        for name, value in row.items():
            if name != "step" and value:
                assert told[int(row["step"]), name] == pytest.approx(float(value), rel=1e-5)


def test_a_disk_that_is_full_is_an_error_at_once(tmp_path: Path) -> None:
    events = Events(tmp_path, after=0)

    def write_many() -> None:
        for step in range(100):
            events.write({"loss": 1.0}, step)

    with disk_of(400), pytest.raises(OSError, match="too large"):
        write_many()
