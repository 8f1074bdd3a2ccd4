"""Which worker computes on which device."""

from __future__ import annotations

import pytest

from geounet.model.engine import device_of_worker, sharing_warning


@pytest.mark.parametrize(
    ("device", "count", "expected"),
    [
        ("cuda:0", 2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]),
        ("cuda:0", 1, ["cuda:0"] * 4),
        ("cuda:0", 8, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        ("cpu", 2, ["cpu"] * 4),
        ("cpu", 0, ["cpu"] * 4),
    ],
)
def test_workers_take_the_devices_in_turn(device: str, count: int, expected: list[str]) -> None:
    assert [device_of_worker(device, worker, count) for worker in range(4)] == expected


def test_workers_that_share_a_device_are_told() -> None:
    assert sharing_warning("cuda:0", 2, 1) == (
        "2 workers share 1 CUDA device: each holds a network there, and more than --workers 1 are rarely faster"
    )
    assert "3 workers share 2 CUDA devices" in (sharing_warning("cuda:0", 3, 2) or "")
    assert [sharing_warning(*given) for given in (("cuda:0", 2, 2), ("cuda:0", 0, 1), ("cpu", 4, 0))] == [None] * 3
