"""configs/schedule.yaml can be used as it is, says the defaults, and leaves out no key."""

from __future__ import annotations

import re
from pathlib import Path

import markdown_blocks
import pytest
import yaml

from geounet.schedule.config import OF_STAC, ScheduleConfig, load_schedule

PATH = markdown_blocks.ROOT / "configs" / "schedule.yaml"


def test_it_is_valid_and_says_the_defaults() -> None:
    config = load_schedule(PATH)
    bare = ScheduleConfig.model_validate(
        {"source": {"folder": config.source.folder}, "destination": config.destination, "infer": config.infer}
    )
    assert config.model_copy(update={"source": bare.source}) == bare
    assert config.source.settle == 30


def uncommented() -> str:
    """The file with every key in force; it names three sources then."""
    return re.sub(r"^( *)# ([a-z_]+: )", r"\1\2", PATH.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_key_stands_in_it() -> None:
    values = yaml.safe_load(uncommented())
    for name, section in values.items():
        assert name in ScheduleConfig.model_fields
        kind = ScheduleConfig.model_fields[name].annotation
        if isinstance(section, dict) and hasattr(kind, "model_fields"):
            assert set(section) == set(kind.model_fields)
    assert set(values) == set(ScheduleConfig.model_fields)


@pytest.mark.parametrize(
    "others",
    [
        ("list", "stac", *OF_STAC),
        ("folder", "stac", *OF_STAC),
        ("folder", "list", "area"),
        ("folder", "list", "bbox"),
    ],
)
def test_every_source_can_be_used(tmp_path: Path, others: tuple[str, ...]) -> None:
    values = yaml.safe_load(uncommented())
    for name in others:
        del values["source"][name]
    (tmp_path / "schedule.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert load_schedule(tmp_path / "schedule.yaml").signals.metrics is not None


def test_the_stac_source_of_the_operations_page_is_valid(tmp_path: Path) -> None:
    page = (markdown_blocks.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(source:\n  stac: .*?)```", page, re.DOTALL)
    assert block
    (tmp_path / "schedule.yaml").write_text(block[1], encoding="utf-8")
    config = load_schedule(tmp_path / "schedule.yaml")
    assert config.options.allow_remote
    assert config.source.area == tmp_path / "county.geojson"
