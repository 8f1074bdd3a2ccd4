"""Workers that cannot take part in a run: other software, another model, other files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packages import hashes, save, tiny_spec, unet
from processes import Case
from schedulers import scheduler, worker

import geounet
from geounet.errors import RequestError
from geounet.model.package import load_model
from geounet.run import dispatch
from geounet.run.journal import Journal
from geounet.run.progress import Progress
from geounet.run.roll_call import Roll, deciding, sized, software, why_unfit
from geounet.run.work import Receipt


@pytest.fixture
def roll(case: Case, tmp_path: Path) -> Roll:
    return Roll(
        software=software(deciding("onnx", aoi=True)),
        files=sized([str(case.scene), None, "https://example.org/scene.tif"]),
        parts=str(tmp_path),
        model=str(case.model),
        model_digest=load_model(case.model).digest,
        allow_pickle=False,
    )


def test_this_process_can_take_part(roll: Roll) -> None:
    assert why_unfit(roll, "w") is None
    assert {"geounet", "Python", "numpy", "GDAL", "onnxruntime", "pyproj"} <= dict(roll.software).keys()
    assert "none" not in dict(roll.software).values()
    assert len(roll.files) == 1, "a remote scene is not looked for on the disk"


def test_what_differs_is_named(roll: Roll, case: Case, tmp_path: Path) -> None:
    other = save(tmp_path / "other", unet(tiny_spec(divisor=4, hyperparameters={"depth": 2, "width": 4}), seed=9),
                 tiny_spec(divisor=4, hyperparameters={"depth": 2, "width": 4}))  # fmt: skip
    ((path, size),) = roll.files
    found = {
        "GDAL 1.0": replace(roll, software=(("GDAL", "1.0"),)),
        "has nosuch none, this run has nosuch 1": replace(roll, software=(("nosuch", "1"),)),
        "sees another": replace(roll, files=((path, size + 1),)),
        "does not see /nowhere/scene.tif (No such file": replace(roll, files=(("/nowhere/scene.tif", 1),)),
        "cannot write to /nowhere": replace(roll, parts="/nowhere"),
        "'/nowhere' not found": replace(roll, model="/nowhere"),
        "has another model": replace(roll, model=str(other)),
    }
    for words, asked in found.items():
        reason = why_unfit(asked, "number-7")
        assert reason is not None
        assert words in reason
        assert reason.startswith("worker number-7 on ")
        assert "expected the same" in reason or "install the same" in reason
        assert "\n" not in reason


# --- real workers ---------------------------------------------------------------------------------------------


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with scheduler(tmp_path) as found:
        yield found


def another_numpy(folder: Path) -> dict[str, str]:
    """The environment of a worker in which another numpy is installed, as far as its metadata says."""
    import os

    metadata = folder / "other" / "numpy-0.0.7.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.7\n")
    return {"PYTHONPATH": f"{folder / 'other'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def infer(case: Case, output: Path, **more: Any) -> geounet.Run:
    options = case.options(output, **more)
    return geounet.infer(options.pop("scene"), **options)


def test_a_worker_with_another_version_is_refused(case: Case, tmp_path: Path, address: str) -> None:
    words = rf"worker odd on \S+ has numpy 0\.0\.7, this run has numpy {version('numpy')}; install the same"
    odd = worker(address, tmp_path, "--name", "odd", env=another_numpy(tmp_path))
    with odd, pytest.raises(RequestError, match=words) as caught:
        infer(case, tmp_path / "out", scheduler=address)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.slow
def test_a_worker_that_sees_neither_scene_nor_model(
    case: Case, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``/proc/self/cwd`` is another folder in each process, as a path that is not shared is on each machine."""
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(case.model, here / "model")
    shutil.copy(case.scene, here)
    there.mkdir()
    monkeypatch.chdir(here)
    with worker(address, tmp_path, "--name", "far", cwd=there):
        with pytest.raises(RequestError, match=r"worker far on \S+ does not see /proc/self/cwd/scene.tif"):
            infer(case, tmp_path / "out", scene="/proc/self/cwd/scene.tif", scheduler=address)
        with pytest.raises(RequestError, match=r"worker far on \S+: model '/proc/self/cwd/model' not found"):
            infer(case, tmp_path / "out", model="/proc/self/cwd/model", scheduler=address)


@pytest.mark.slow
def test_one_that_joins_later_gets_no_blocks(
    case: Case, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Journal.record
    with ExitStack() as late:

        def record(journal: Journal, receipt: Receipt) -> None:
            real(journal, receipt)
            if len(journal.receipts) == 3:
                late.enter_context(worker(address, tmp_path, "--name", "odd", env=another_numpy(tmp_path)))

        warnings: list[str] = []
        progress = Progress()
        monkeypatch.setattr(progress, "warn", warnings.append)
        monkeypatch.setattr(Journal, "record", record)
        monkeypatch.setattr(dispatch, "_REFRESH", 0.1)
        with worker(address, tmp_path, "--name", "good"):
            infer(case, tmp_path / "out", scheduler=address, progress=progress)
    assert hashes(tmp_path / "out") == case.undisturbed
    told = [warning for warning in warnings if "odd" in warning]
    assert len(told) == 1
    assert "numpy 0.0.7" in told[0]
    assert told[0].endswith("it gets no blocks until it can")


@pytest.mark.slow
def test_a_worker_without_geounet(case: Case, tmp_path: Path, address: str) -> None:
    """Its environment lacks what the client asks it for."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'geounet':\n"
        "            raise ModuleNotFoundError(\"No module named 'geounet'\")\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    bare = worker(address, tmp_path, "--name", "bare", env={"PYTHONPATH": str(tmp_path)})
    words = r"has another geounet, or none \(.*geounet.*\); install the same"
    with bare, pytest.raises(RequestError, match=words):
        infer(case, tmp_path / "out", scheduler=address)
