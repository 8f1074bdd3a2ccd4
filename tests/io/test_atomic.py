from __future__ import annotations

from pathlib import Path

import pytest

from geounet.io.atomic import publish, publish_text, scratch_folder, sweep, temporary_name


def test_the_final_name_appears_only_when_the_body_ended_well(tmp_path: Path):
    final = tmp_path / "a.tif"
    with publish(final) as temporary:
        temporary.write_text("whole")
        assert not final.exists()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".tif"
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert final.read_text() == "whole"


def test_a_failing_body_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    final = publish_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with publish(final) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert final.read_text() == "old"


def test_a_full_disk_is_told_with_the_name_that_people_know(tmp_path: Path):
    def write_to_a_full_disk() -> None:
        with publish(tmp_path / "map.png"), Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(OSError, match="No space left") as caught:
        write_to_a_full_disk()
    assert caught.value.filename == str(tmp_path / "map.png")


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError), publish(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_scratch_folders_go_and_sweep_takes_what_a_killed_process_left(tmp_path: Path):
    with scratch_folder(tmp_path / "a.tif") as folder:
        (folder / "x").write_text("x")
    assert list(tmp_path.iterdir()) == []
    temporary_name(tmp_path / "a.tif").write_text("left")
    temporary_name(tmp_path / "b.tif").mkdir()
    (tmp_path / ".hidden").write_text("not ours")
    assert sweep(tmp_path) == 2
    assert [p.name for p in tmp_path.iterdir()] == [".hidden"]
