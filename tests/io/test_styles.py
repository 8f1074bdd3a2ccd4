from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from geounet.io.styles import line_style, node_style, polygon_style, raster_style, shown_classes, write_style
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


def test_lines_are_as_wide_as_the_road_and_nodes_are_dots():
    root = ElementTree.fromstring(line_style("#4a4a55"))
    wide, middle = root.findall("./renderer-v2/symbols/symbol[@type='line']/layer")
    values = {o.get("name"): o.get("value") for o in wide.iter("Option")}
    assert values["line_color"] == "74,74,85,255"
    assert values["field"] == "width_m"
    assert values["line_width_unit"] == "RenderMetersInMapUnits"
    assert middle.find("data_defined_properties") is None
    assert root.findtext("layerGeometryType") == "1"
    nodes = ElementTree.fromstring(node_style())
    assert nodes.find("./renderer-v2/symbols/symbol[@type='marker']/layer").get("class") == "SimpleMarker"
    assert nodes.findtext("layerGeometryType") == "0"
