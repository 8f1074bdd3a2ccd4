"""Runs in a row share a cluster where that is asked for, and a dead one is replaced."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from packages import hashes
from processes import Case

import geounet
from geounet.cli.commands import cli
from geounet.run import cluster
from geounet.run.cluster import connect, one_cluster


def test_one_cluster_is_used_again() -> None:
    with one_cluster():
        with connect(workers=0, scheduler=None) as first:
            assert first.submit(abs, -1).result() == 1
        with connect(workers=0, scheduler=None) as second:
            assert second is first
            assert second.submit(abs, -2).result() == 2
        first.close()
        with connect(workers=0, scheduler=None) as third:
            assert third is not first
            assert third.submit(abs, -3).result() == 3
    assert third.status == "closed"


def test_another_kind_of_cluster_is_opened_anew() -> None:
    with one_cluster():
        with connect(workers=0, scheduler=None) as threads:
            pass
        with connect(workers=1, scheduler=None) as processes:
            assert processes is not threads
            assert threads.status == "closed"


def test_without_it_each_run_has_its_own() -> None:
    with connect(workers=0, scheduler=None) as first:
        pass
    assert first.status == "closed"
    with pytest.raises(ZeroDivisionError), one_cluster(), connect(workers=0, scheduler=None) as client:
        raise ZeroDivisionError
    assert client.status == "closed"


def test_several_scenes_share_the_cluster_of_the_section(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``geounet infer a.tif b.tif`` starts it once, and the maps are those of runs without it."""
    started = []

    class Counted(cluster.LocalCluster):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            started.append(given)
            super().__init__(**given)

    monkeypatch.setattr(cluster, "LocalCluster", Counted)
    config = tmp_path / "options.yaml"
    config.write_text(
        f"model: {case.model}\ndevice: cpu\nblock: 150\ncluster: {{kind: local, workers: 1, threads: 1}}\n"
    )
    scenes = [str(shutil.copy(case.scene, tmp_path / f"{name}.tif")) for name in "ab"]
    done = CliRunner().invoke(cli, ["infer", *scenes, "--config", str(config), "-o", str(tmp_path / "out"), "-q"])
    assert done.exit_code == 0, done.output
    assert [given["n_workers"] for given in started] == [1]
    for name in "ab":
        plain = geounet.infer(**case.options(tmp_path / f"plain_{name}", scene=str(tmp_path / f"{name}.tif")))
        assert hashes(tmp_path / "out" / name) == hashes(plain.output)
