"""Quick blocks share a task. Each is still told of, blamed and tried again by itself, and no byte depends on it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import hashes
from processes import Case

import geounet
from geounet.errors import BlocksFailed, Interrupted
from geounet.run import dispatch, worker
from geounet.run.block import BlockRunner
from geounet.run.stretches import Next, Stretches

BLOCKS = 10 * 9  # of 32 pixels


class Sent(Stretches):
    """Remembers what went out together."""

    together: list[tuple[int, ...]]

    def take(self, name: str, *, idle: bool, most: int = 1) -> Next | None:
        found = super().take(name, idle=idle, most=most)
        if found is not None:
            self.together.append(found.blocks)
        return found


@contextmanager
def sending(*, most: int = 200, expected: float = 2.0, suffices: float = 2.0) -> Iterator[list[tuple[int, ...]]]:
    """What goes out in one task: at ``most`` so many blocks, ``expected`` to take so many seconds; the worker takes
    no further one when these ``suffices`` have passed."""
    with pytest.MonkeyPatch.context() as patch:
        Sent.together = []
        patch.setattr(dispatch, "Stretches", Sent)
        patch.setattr(dispatch, "_MOST", most)
        patch.setattr(dispatch, "TASK", expected)
        patch.setattr(worker, "TASK", suffices)
        yield Sent.together


def infer(case: Case, output: Path, **more: Any) -> geounet.Run:
    return geounet.infer(**case.options(output, **{"block": 32, **more}))


def journal(output: Path) -> list[int]:
    (file,) = (output / ".geounet").glob("*/journal.jsonl")
    return [json.loads(line)["block"] for line in file.read_text().splitlines()]


def test_blocks_travel_together_when_they_turn_out_to_be_quick(case: Case, tmp_path: Path) -> None:
    with sending() as sent:
        run = infer(case, tmp_path / "out")
    assert run.blocks == BLOCKS == sum(map(len, sent))
    assert len(sent[0]) == 1, "nothing is known yet"
    assert len(sent) < BLOCKS / 2
    assert sorted(journal(tmp_path / "out")) == list(range(BLOCKS))
    assert hashes(tmp_path / "out") == case.undisturbed


def test_slow_blocks_travel_alone(case: Case, tmp_path: Path) -> None:
    with sending(expected=0.0) as sent:
        infer(case, tmp_path / "out")
    assert {len(blocks) for blocks in sent} == {1}
    assert hashes(tmp_path / "out") == case.undisturbed


@given(
    most=st.integers(1, 30), expected=st.sampled_from([0.0, 0.05, 9.0]), suffices=st.sampled_from([0.0, 0.02, 9.0])
)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_depends_on_what_travels_together(case: Case, most: int, expected: float, suffices: float) -> None:
    """Also where there was no time for most of what was sent."""
    with tempfile.TemporaryDirectory() as folder, sending(most=most, expected=expected, suffices=suffices):
        run = infer(case, Path(folder) / "out")
        assert (run.blocks, run.resumed) == (BLOCKS, 0)
        assert sorted(journal(run.output)) == list(range(BLOCKS)), "one receipt for each"
        assert hashes(run.output) == case.undisturbed


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("an odd disk")], ids=["bug", "input"])
def test_one_that_fails_in_company_is_blamed_alone(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The others are finished; with the cause mended only the one is computed."""
    tried, real = [], BlockRunner._compute

    def compute(self: BlockRunner, block: Any, *given_: Any) -> Any:
        if block.index == 30:
            tried.append(block.index)
            raise error
        return real(self, block, *given_)

    monkeypatch.setattr(BlockRunner, "_compute", compute)
    with sending() as sent, pytest.raises(BlocksFailed, match=rf"1 of {BLOCKS} blocks .* block 30 .*{error}"):
        infer(case, tmp_path / "out")
    assert any(30 in blocks and len(blocks) > 1 for blocks in sent)
    by_itself = 1 if isinstance(error, ValueError) else dispatch.ATTEMPTS
    assert len(tried) in (by_itself, 1 + by_itself), "less where it was the last of those that came together"
    assert sorted(journal(tmp_path / "out")) == [block for block in range(BLOCKS) if block != 30]
    monkeypatch.undo()
    run = infer(case, tmp_path / "out")
    assert run.resumed == BLOCKS - 1
    assert hashes(tmp_path / "out") == case.undisturbed


def test_one_that_recovers_is_nobodys_fault(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures, real = [OSError("not now")] * 2, BlockRunner._compute

    def compute(self: BlockRunner, block: Any, *given_: Any) -> Any:
        if block.index == 30 and failures:
            raise failures.pop()
        return real(self, block, *given_)

    monkeypatch.setattr(BlockRunner, "_compute", compute)
    with sending():
        infer(case, tmp_path / "out")
    assert hashes(tmp_path / "out") == case.undisturbed


def test_a_stop_is_heard_between_two_blocks(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that was told to stop computes none of the others that came along, and no new one does."""
    real, computed = BlockRunner._compute, []

    def compute(self: BlockRunner, block: Any, *given_: Any) -> Any:
        computed.append(block.index)
        if block.index == 30:
            worker.stop_runner(self._work.key)
        return real(self, block, *given_)

    monkeypatch.setattr(BlockRunner, "_compute", compute)
    with sending() as sent, pytest.raises(Interrupted):
        infer(case, tmp_path / "out")
    (company,) = (blocks for blocks in sent if 30 in blocks)
    assert not [block for block in computed if block in company and block > 30]
