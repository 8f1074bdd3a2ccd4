"""Links resolve, the picture is there, and no document tells of the machine that it was written on."""

from __future__ import annotations

import re

import markdown_blocks
import numpy as np
import pytest
from PIL import Image

DOCUMENTS = markdown_blocks.documents()


def identify(path) -> str:
    return path.relative_to(markdown_blocks.ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=identify)
def test_links_to_files_and_headings_resolve(path):
    for link in markdown_blocks.links(path):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{path.name}: {link}"
        assert markdown_blocks.ROOT in target.parents, f"{path.name}: {link} leaves the repository"
        assert not anchor or anchor in markdown_blocks.anchors(target), f"{path.name}: {link}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=identify)
def test_no_path_of_a_machine(path):
    assert not re.search(r"/(work|home|root|tmp|Users)/", path.read_text(encoding="utf-8"))


def test_every_decision_is_listed():
    folder = markdown_blocks.ROOT / "docs" / "decisions"
    notes = {p.name for p in folder.glob("[0-9]*.md")}
    assert notes
    assert notes == set(markdown_blocks.links(folder / "README.md"))
    for note in notes:
        text = (folder / note).read_text(encoding="utf-8")
        assert text.startswith(f"# {note[:4]}: ")
        for part in ("**Context.**", "**Decision.**", "**Rejected.**"):
            assert part in text, f"{note} has no {part}"


def test_the_readme_opens_with_the_picture_of_the_demo():
    path = markdown_blocks.ROOT / "docs" / "images" / "demo.png"
    assert "docs/images/demo.png" in markdown_blocks.links(markdown_blocks.ROOT / "README.md")[0]
    assert path.stat().st_size < 400 * 1024
    with Image.open(path) as picture:
        assert picture.width > 2 * picture.height  # panels side by side
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
