"""What a training computes on: devices that are there, threads that are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from geounet.errors import ConfigError
from geounet.heap import freed_memory_kept
from geounet.train.config import TrainConfig


def check_devices(config: TrainConfig, device: torch.device, count: int) -> None:
    """ConfigError where the batch cannot be shared out, or where there are not so many devices."""
    there = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if not 1 <= count <= there or (count > 1 and device.index is not None):
        raise ConfigError(f"--devices {count}: expected 1 to {there} on --device {device.type}")
    batch, accumulate = config.optimiser.batch, config.optimiser.accumulate
    if batch % (count * accumulate):
        raise ConfigError(
            f"optimiser.batch {batch} cannot be divided among {count} devices in {accumulate} portions; "
            f"expected a multiple of {count * accumulate}"
        )


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """So many threads for torch's kernels, freed memory kept; afterwards everything as a caller had it."""
    if count is not None and count < 1:
        raise ConfigError(f"--threads {count}: expected at least 1")
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        with freed_memory_kept():
            yield
    finally:
        torch.set_num_threads(before)


def choose_device(name: str | None) -> torch.device:
    """The device, tried out. ConfigError where torch has none of that name."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # a device without memory ("meta") fails here
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises all of them
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        known = ", ".join(["cpu", *(f"cuda:{n}" for n in range(count))])
        raise ConfigError(f"--device {name!r} cannot be used here; expected one of {known}") from error
    return device
