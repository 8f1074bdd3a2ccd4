"""What a plan promises about time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from packages import work_for
from processes import Case

from geounet.model import host
from geounet.run import forecast as room


def test_no_more_tiles_at_a_time_than_cores_and_nothing_divided_by_workers(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred workers on two cores promise what two threads can do."""
    plan, _ = work_for(case.scene, tmp_path, model=str(case.model))
    threads: list[int] = []
    real = host.HostEngine.__init__

    def counting(self, spec, request, **more):
        threads.append(request.threads)
        real(self, spec, request, **more)

    monkeypatch.setattr(host.HostEngine, "__init__", counting)
    monkeypatch.setattr(room, "usable_cores", lambda: 2)
    monkeypatch.setattr(room, "_timed", lambda _engine, jobs, _tile: 3.0 * len(jobs))
    for workers, each, expected in ((1, 1, 1), (1, 64, 2), (2, 1, 2), (100, 1, 2), (100, 8, 2)):
        many = replace(plan, workers=workers, request=replace(plan.request, threads=each))
        assert room.forecast(many).seconds == pytest.approx(3.0 * plan.costs.tiles_computed)
        assert threads[-1] == expected
