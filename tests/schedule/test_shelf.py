"""The pages over all scenes: boxes where the scenes lie, links that lead there, nothing of another destination."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from geounet.schedule.entry import Entry
from geounet.schedule.shelf import write_shelf
from geounet.schedule.shelf_map import Place, render_places

WIDTH, HEIGHT, LEAST = 1000.0, 420.0, 5.0


def drawn(places: list[Place]) -> list[tuple[str, str, float, float, float, float]]:
    """Name, address, and (left, top, width, height) of each box; the page's part is well-formed by itself."""
    section = ElementTree.fromstring(render_places(places))
    found = []
    for link in section.iter("a"):
        (rect,) = link.iter("rect")
        box = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        found.append((rect[0].text or "", link.attrib["href"], *box))
    return found  # type: ignore[return-value]


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """West, south, east, north anywhere; some cross the date line."""
    west, east = draw(st.floats(-180, 180)), draw(st.floats(-180, 180))
    south, north = sorted((draw(st.floats(-89, 89)), draw(st.floats(-89, 89))))
    return west, south, east, north


@given(st.lists(boxes(), min_size=1, max_size=8))
def test_every_scene_can_be_seen_and_hit(found: list[tuple[float, float, float, float]]) -> None:
    shown = drawn([(f"s{number}", f"s{number}/report.html", box) for number, box in enumerate(found)])
    assert [name for name, *_ in shown] == [f"s{number}" for number in range(len(found))]
    for _, _, x, y, wide, high in shown:
        assert wide >= LEAST
        assert high >= LEAST
        assert -LEAST <= x <= x + wide <= WIDTH + LEAST
        assert -LEAST <= y <= y + high <= HEIGHT + LEAST


def test_north_is_up_and_east_is_right() -> None:
    south_west, north_east = (0.0, 40.0, 1.0, 41.0), (8.0, 44.0, 9.0, 45.0)
    (_, _, x, y, wide, high), (_, _, x2, y2, _, _) = drawn([("a", "a", south_west), ("b", "b", north_east)])
    assert x < x2
    assert y > y2
    assert abs(wide / high - 0.737) < 0.02, "a degree of longitude is as wide as it is there"


def test_scenes_beside_the_date_line_are_neighbours() -> None:
    """One crosses it, one lies east of it: the map is of the Pacific, not of the whole world."""
    (_, _, x, _, wide, _), (_, _, x2, _, _, _) = drawn(
        [("a", "a", (179.0, 0.0, -179.0, 2.0)), ("b", "b", (178.0, 0, 179, 2))]
    )
    assert 0 < x - x2 < wide


def test_names_do_no_harm() -> None:
    ((name, address, *_),) = drawn([('<b>&"', 'a"onclick="x', (0.0, 0.0, 1.0, 1.0))])
    assert (name, address) == ('<b>&"', 'a"onclick="x')


def test_no_map_of_nothing_and_not_of_everything() -> None:
    assert render_places([]) == ""
    many = [(f"s{number}", "x", (0.0, 0.0, 1.0, 1.0)) for number in range(2100)]
    assert len(drawn(many)) == 2000
    assert "the newest 2,000 of 2,100" in render_places(many)
    assert "0° N 0° E to 1° N 1° E" in render_places(many[:1])


def entry(name: str, output: Path | None, **more: object) -> Entry:
    values = {
        "key": name, "name": name, "source": name, "paths": (), "content": name, "recipe": "r",
        "time": "2026-01-02T03:04:05+00:00",
        "state": "done" if output else "waiting", "attempts": 0, "deaths": 0, "not_before": 0.0,
        "owner": None, "lease": None, "error": None, "output": str(output) if output else None, "found": 0.0,
        "started": None, "finished": 1.0, "facts": {"bbox": [0.0, 0.0, 1.0, 1.0]},
    }  # fmt: skip
    return Entry(**{**values, **more})  # type: ignore[arg-type]


def test_a_ledger_may_serve_two_destinations(tmp_path: Path) -> None:
    """Each has a catalogue and a page of its own."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    write_shelf(here, [entry("mine", here / "mine"), entry("theirs", there / "theirs"), entry("waits", None)])
    links = json.loads((here / "collection.json").read_text())["links"]
    assert [link["href"] for link in links if link["rel"] == "item"] == ["./mine/item.json"]
    page = (here / "index.html").read_text()
    assert set(re.findall(r'href="([^"]*report.html)"', page)) == {"mine/report.html"}
    assert "theirs" not in page
    assert "1 done, 1 waiting" in page
