from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from geounet.io.styles import polygon_style, raster_style, shown_classes, write_style
from geounet.model.spec import Head, LabelClass

ROAD = Head(
    name="road",
    kind="mask",
    classes=(
        LabelClass(value=0, name="not", color="#ffffff"),
        LabelClass(value=1, name='r<o>&"d', color="#4a4a55"),
    ),
)


def test_raster_style_names_and_colours_every_class_and_hides_a_masks_zero():
    entries = ElementTree.fromstring(raster_style(ROAD)).findall("./pipe/rasterrenderer/colorPalette/paletteEntry")
    assert [(e.get("value"), e.get("label"), e.get("color"), e.get("alpha")) for e in entries] == [
        ("0", "not", "#ffffff", "0"),
        ("1", 'r<o>&"d', "#4a4a55", "255"),
    ]


def test_polygon_style_has_one_symbol_per_class_that_becomes_polygons():
    renderer = ElementTree.fromstring(polygon_style(shown_classes(ROAD))).find("./renderer-v2")
    assert renderer.get("attr") == "class"
    assert [(c.get("value"), c.get("symbol"), c.get("label")) for c in renderer.iter("category")] == [
        ("1", "1", 'r<o>&"d')
    ]
    colours = [o.get("value") for o in renderer.iter("Option") if o.get("name") == "color"]
    assert colours == ["74,74,85,255"]
    assert {s.get("name") for s in renderer.iter("symbol")} == {"1"}


def test_one_file_for_both(tmp_path: Path):
    root = ElementTree.fromstring(write_style(tmp_path / "road.qml", ROAD).read_text())
    assert root.find("pipe") is not None
    assert root.find("renderer-v2") is not None
