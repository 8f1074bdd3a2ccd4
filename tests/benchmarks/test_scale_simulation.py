"""The simulation of docs/scale.md: what it must hold whatever the numbers, and that the page shows what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.processes import ROOT
from tests.benchmarks.scale_simulation import Inputs, many_scenes, one_scene, report

SMALL = Inputs(area=3e5, life=1e9)  # 3 Gpx, and nothing is lost
NOTHING = dict.fromkeys(("scheduler", "client", "scheduler_task", "client_task"), 0.0)


def test_the_page_shows_what_the_simulation_says() -> None:
    assert "\n".join(report(Inputs())) in (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_one_gpu_with_nothing_in_its_way_takes_as_long_as_its_tiles() -> None:
    free = replace(SMALL, gpus=1, **NOTHING, bandwidth=1e9, stream=1e9)
    blocks = -(-free.pixels // (free.tiles_per_block * free.stride**2))
    outcome = one_scene(free)
    assert outcome.seconds == pytest.approx(blocks * free.tiles_per_block * free.forward / 1000)
    assert outcome.busy["GPUs"] == pytest.approx(1)


@pytest.mark.parametrize("layout", [one_scene, many_scenes])
def test_more_gpus_are_never_slower_and_nothing_is_busier_than_always(layout) -> None:
    outcomes = [layout(replace(SMALL, gpus=gpus)) for gpus in (1, 4, 16, 64)]
    assert sorted((o.seconds for o in outcomes), reverse=True) == [o.seconds for o in outcomes]
    assert all(0 <= share <= 1.000001 for o in outcomes for share in o.busy.values())


def test_a_scheduler_is_the_limit_where_it_takes_longer_than_the_gpus() -> None:
    outcome = one_scene(replace(SMALL, gpus=500, scheduler=1000.0))
    assert outcome.busy["scheduler"] > 0.99
    assert outcome.busy["GPUs"] < 0.01


def test_quick_blocks_share_what_a_task_costs() -> None:
    """Four of half a second in one of two seconds; one of five seconds goes by itself."""
    quick, slow = replace(SMALL, forward=3.125), replace(SMALL, forward=31.25)
    assert quick.handling[0] == pytest.approx((quick.scheduler + quick.scheduler_task / 4) / 1000)
    assert slow.handling[1] == pytest.approx((slow.client + slow.client_task) / 1000)


def test_lost_processes_cost_time_and_are_counted() -> None:
    weak = one_scene(replace(SMALL, gpus=4, life=0.005))
    assert weak.lost > 0
    assert weak.seconds > one_scene(replace(SMALL, gpus=4)).seconds
