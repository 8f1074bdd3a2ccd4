"""configs/infer.yaml can be used as it is, and leaves out no option."""

from __future__ import annotations

import re
from dataclasses import fields

import markdown_blocks

from geounet.config import build_options, load_config
from geounet.run.options import InferOptions

PATH = markdown_blocks.ROOT / "configs" / "infer.yaml"


def test_it_asks_for_what_is_the_default_anyway():
    assert build_options(load_config(PATH), {}) == InferOptions()


def test_every_option_stands_in_it():
    names = set(re.findall(r"^(?:# )?([a-z][a-z-]*): ", PATH.read_text(encoding="utf-8"), flags=re.MULTILINE))
    expected = {field.name.replace("_", "-") for field in fields(InferOptions)} - {"formats"} | {"format"}
    assert names == expected


def test_commented_lines_are_right_as_well(tmp_path):
    lines = PATH.read_text(encoding="utf-8").splitlines()
    every = [re.sub(r"^# (?=[a-z][a-z-]*: )", "", line) for line in lines]
    text = "\n".join(line for line in every if not line.startswith("workers: "))  # excludes scheduler
    (tmp_path / "all.yaml").write_text(text, encoding="utf-8")
    options = build_options(load_config(tmp_path / "all.yaml"), {})
    assert options.bands == ("red", "green", "blue")
    assert options.memory == 4 * 2**30
