"""The benchmarks themselves: what they show and what they measure with, without a clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from tests.benchmarks import material, scale
from tests.benchmarks.__main__ import BEGIN, END, put_into
from tests.benchmarks.processes import ROOT, in_turn, run
from tests.benchmarks.scale_side import run_stages
from tests.benchmarks.table import Result, Table, as_markdown, as_text


def test_a_target_is_reached_from_the_right_side() -> None:
    assert Result(what="a", value=1.08, target=1.08).reached is True
    assert Result(what="a", value=1.09, target=1.08).reached is False
    assert Result(what="a", value=1.79, target=1.8, higher_is_better=True).reached is False
    assert Result(what="a", value=1.0).reached is None


def test_tables_show_every_result_with_its_target() -> None:
    table = Table(title="t", about="why", results=(Result(what="a|b", value=0.5, unit="x", target=0.4, note="n"),))
    assert "0.50 ×    ≤ 0.40 ×  no       n" in as_text(table)
    assert r"| a\|b | 0.50 × | ≤ 0.40 × | no | n |" in as_markdown([table])


def test_only_what_lies_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put_into(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_sides_take_turns() -> None:
    calls: list[str] = []
    in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2)
    assert calls == ["a", "b", "a", "b"]


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="that is why"):
        run([sys.executable, "-c", "raise SystemExit('that is why')"])


def test_a_repeated_scene_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOUNET_BENCH", str(tmp_path))
    with rasterio.open(material.repeated(64, 3)) as file, rasterio.open(material.sample(64)) as source:
        assert file.shape == (192, 192)
        assert (file.read()[:, 64:128, 128:] == source.read()).all()


def test_the_command_names_its_benchmarks() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    names = "startup, recompute, engine, route, vectorize, workers, memory, lines, training, unattended, scale"
    assert names in " ".join(shown.stdout.split())


def test_many_blocks_are_computed_once_and_told_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, with the real dispatcher; the client says of itself what it would say of the others."""
    monkeypatch.setenv("GEOUNET_BENCH", str(tmp_path))
    asked = {"model": material.tiny_model(), "output": tmp_path / "out", "scheduler": None, "pids": {}}
    said = run_stages(scale.scene_of(9), **asked, block=scale.BLOCK, last=("stitch",))
    assert said["blocks"] == 9
    assert set(said["memory"]) == {"0.1", "0.5", "1.0"}
    assert said["journal"] > 9 * 100
    shown = as_text(scale.table(said))
    assert "scale: 9 blocks" in shown
    assert "memory of the client" in shown
