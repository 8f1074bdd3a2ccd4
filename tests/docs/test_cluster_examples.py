"""configs/clusters/ can be used as it is, names every key of its kind, and says the defaults."""

from __future__ import annotations

import re
from pathlib import Path

import markdown_blocks
import pytest
import yaml

from geounet.config import build_options, load_config
from geounet.run.cluster_config import KINDS, ClusterConfig

FILES = sorted((markdown_blocks.ROOT / "configs" / "clusters").glob("*.yaml"))


def uncommented(file: Path) -> str:
    return re.sub(r"^  # ([a-z_]+: )", r"  \1", file.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_there_is_one_of_each_kind() -> None:
    assert {file.stem for file in FILES} == set(KINDS)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_it_can_be_used(file: Path) -> None:
    cluster = build_options(load_config(file), {}).cluster
    assert cluster is not None
    assert cluster.kind == file.stem


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_key_stands_in_it_and_is_right(file: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(uncommented(file))
    here = {"ssh": {"workers", "adapt"}, "kubernetes": {"tls"}, "local": {"tls", "wait"}}.get(file.stem, set())
    assert set(values["cluster"]) == set(KINDS[file.stem].model_fields) - here
    for key in ("adapt", "workers"):
        left = {name: value for name, value in values["cluster"].items() if name != key}
        if file.stem == "local" and "adapt" in left:
            del left["gpu"]
        (tmp_path / "all.yaml").write_text(yaml.safe_dump({"cluster": left}), encoding="utf-8")
        cluster = build_options(load_config(tmp_path / "all.yaml"), {}).cluster
        assert cluster is not None
        if cluster.tls is not None:
            assert cluster.tls.ca == tmp_path / "ca.pem", "paths start from the file's folder"


def test_the_section_that_the_page_shows(tmp_path: Path) -> None:
    page = markdown_blocks.blocks(markdown_blocks.ROOT / "docs" / "clusters.md")
    shown = [block.text for block in page if block.info == ["yaml", "cluster"]]
    assert shown
    for text in shown:
        (tmp_path / "shown.yaml").write_text(text, encoding="utf-8")
        assert isinstance(build_options(load_config(tmp_path / "shown.yaml"), {}).cluster, ClusterConfig)
