from __future__ import annotations

import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from geounet.grid.geobox import GeoBox
from geounet.io.report import render, write_report

sys.path.insert(0, str(Path(__file__).parent))
from test_stac import facts

VOID = {"meta", "img", "br", "link", "input"}


class Balance(HTMLParser):
    """Collects text and external references, and insists on balanced elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.references += [v for k, v in attrs if k in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def parse(html: str) -> Balance:
    reader = Balance()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_one_file_that_needs_nothing_else(tmp_path: Path):
    picture = tmp_path / "preview.png"
    picture.write_bytes(b"\x89PNG")
    html = write_report(tmp_path / "report.html", facts(tmp_path), preview=picture).read_text()
    seen = parse(html)
    assert all(r.startswith(("data:image/png;base64,", "./")) for r in seen.references)
    assert "@import" not in html
    assert "<script" not in html


def test_names_are_escaped_and_facts_are_told(tmp_path: Path):
    html = render(facts(tmp_path))
    assert "<b>" not in html
    assert "<1>" not in html
    text = " ".join(parse(html).words)
    for expected in [
        "bâti <b> & co",
        "scène <1>",
        "75.0 %",
        "2.25 ha",
        "WGS 84 / UTM zone 40N",
        "12.50 s",
        "<coarser>",
    ]:
        assert expected in text


def test_equal_facts_equal_text_and_no_clock(tmp_path: Path):
    run = replace(facts(tmp_path), timings={})
    assert render(run) == render(run)
    assert "Where the time went" not in render(run)


def test_without_crs_areas_are_pixels(tmp_path: Path):
    run = facts(tmp_path, GeoBox(width=400, height=300))
    run = replace(run, areas=tuple(replace(a, square_metres=None) for a in run.areas))
    text = " ".join(parse(render(run)).words)
    assert "90,000 px" in text
    assert "coordinates are pixels" in text
