"""QGIS styles (QML) in a head's colours: for its raster, its polygons, and its centre-lines.

Reduced to the elements that QGIS 3 reads. QGIS loads ``<name>.qml`` beside ``<name>.tif`` or
``<name>.geojson`` on its own; as both have the same stem, `write_style` puts both renderers into one file, of which
a layer takes the one that it understands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from geounet.io.atomic import publish_text
from geounet.io.xml_text import quoteattr
from geounet.model.spec import Head, LabelClass

_OUTLINE = "60,60,60,90"
_NOT_TOO_THIN = "3x:0,0,1,0.3,0,0"
"""QgsMapUnitScale: at any scale, at least 0.3 mm (QgsSymbolLayerUtils::encodeMapUnitScale)."""


def write_style(path: str | Path, head: Head) -> Path:
    """Write raster and polygon style of ``head`` to the QML file ``path``; returns the path."""
    return publish_text(path, _document(_raster_pipe(head) + _polygon_renderer(shown_classes(head))))


def shown_classes(head: Head) -> list[LabelClass]:
    """The classes that become polygons."""
    return [c for c in head.classes if c.value in head.vector_values]


def raster_style(head: Head) -> str:
    """QML of a label raster: one colour and name per class; a mask's 0 is transparent."""
    return _document(_raster_pipe(head))


def polygon_style(classes: Sequence[LabelClass]) -> str:
    """QML of a polygon layer, by its field ``class``."""
    return _document(_polygon_renderer(classes))


def line_style(color: str) -> str:
    """QML of centre-lines: in ``color``, as wide on the map as ``width_m`` says, but never too thin to be seen.

    A thin white line in the middle shows them on top of the polygons from which they come, too.
    """
    options = {
        "capstyle": "round",
        "joinstyle": "round",
        "line_color": _rgba(color),
        "line_style": "solid",
        "line_width": "0.4",
        "line_width_unit": "RenderMetersInMapUnits",  # also where the layer is in degrees
        "width_map_unit_scale": _NOT_TOO_THIN,
    }
    middle = {"line_color": "255,255,255,255", "line_style": "solid", "line_width": "0.25", "line_width_unit": "MM"}
    layers = _layer("SimpleLine", options, {"outlineWidth": "width_m"}) + _layer("SimpleLine", middle, {})
    return _document(_single_symbol("line", layers, geometry=1))


def node_style() -> str:
    """QML of the nodes of centre-lines: small dots."""
    options = {
        "color": "255,255,255,255",
        "name": "circle",
        "outline_color": "40,40,40,255",
        "outline_style": "solid",
        "outline_width": "0.2",
        "outline_width_unit": "MM",
        "size": "1.2",
        "size_unit": "MM",
    }
    return _document(_single_symbol("marker", _layer("SimpleMarker", options, {}), geometry=0))


def write_style_beside(paths: Iterable[Path], style: str) -> None:
    """Write QML for vector files that cannot hold a style; a QML file that is there is left as it is."""
    for path in paths:
        qml = path.with_suffix(".qml")
        if path.suffix != ".gpkg" and not qml.exists():
            publish_text(qml, style)


def _document(content: str) -> str:
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        f'<qgis version="3.34.0" styleCategories="Symbology">\n{content}</qgis>\n'
    )


def _raster_pipe(head: Head) -> str:
    entries = "".join(_palette_entry(head, c) for c in head.classes)
    return (
        '  <pipe>\n    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">\n'
        f"      <rasterTransparency/>\n      <colorPalette>\n{entries}      </colorPalette>\n"
        "    </rasterrenderer>\n  </pipe>\n"
    )


def _palette_entry(head: Head, label: LabelClass) -> str:
    alpha = 255 if label.value in head.vector_values else 0
    return (
        f'        <paletteEntry value="{label.value}" color={quoteattr(label.color)} alpha="{alpha}"'
        f" label={quoteattr(label.name)}/>\n"
    )


def _polygon_renderer(shown: Sequence[LabelClass]) -> str:
    categories = "".join(
        f'      <category render="true" symbol="{c.value}" value="{c.value}" type="integer"'
        f" label={quoteattr(c.name)}/>\n"
        for c in shown
    )
    symbols = "".join(_symbol(c) for c in shown)
    return (
        '  <renderer-v2 type="categorizedSymbol" attr="class" enableorderby="0" forceraster="0"'
        f' symbollevels="0">\n    <categories>\n{categories}    </categories>\n'
        f"    <symbols>\n{symbols}    </symbols>\n  </renderer-v2>\n  <layerGeometryType>2</layerGeometryType>\n"
    )


def _symbol(label: LabelClass) -> str:
    options = {
        "color": _rgba(label.color),
        "outline_color": _OUTLINE,
        "outline_style": "solid",
        "outline_width": "0.1",
        "outline_width_unit": "MM",
        "style": "solid",
    }
    return (
        f'      <symbol type="fill" name="{label.value}" alpha="1" clip_to_extent="1" force_rhr="0">\n'
        '        <layer class="SimpleFill" enabled="1" locked="0" pass="0">\n'
        f"{_options(options)}        </layer>\n      </symbol>\n"
    )


def _single_symbol(kind: str, layers: str, *, geometry: int) -> str:
    """A renderer with one symbol for all features."""
    return (
        '  <renderer-v2 type="singleSymbol" enableorderby="0" forceraster="0" symbollevels="0">\n    <symbols>\n'
        f'      <symbol type="{kind}" name="0" alpha="1" clip_to_extent="1" force_rhr="0">\n'
        f"{layers}      </symbol>\n    </symbols>\n"
        f"  </renderer-v2>\n  <layerGeometryType>{geometry}</layerGeometryType>\n"
    )


def _layer(name: str, options: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """A symbol layer; ``fields`` are the attributes that some of its properties follow."""
    driven = "".join(
        f'            <Option name="{name}" type="Map">\n'
        '              <Option name="active" value="true" type="bool"/>\n'
        f'              <Option name="field" value="{field}" type="QString"/>\n'
        '              <Option name="type" value="2" type="int"/>\n            </Option>\n'
        for name, field in fields.items()
    )
    properties = (
        '        <data_defined_properties>\n          <Option type="Map">\n'
        '          <Option name="name" value="" type="QString"/>\n'
        f'          <Option name="properties" type="Map">\n{driven}          </Option>\n'
        '          <Option name="type" value="collection" type="QString"/>\n'
        "          </Option>\n        </data_defined_properties>\n"
    )
    return (
        f'        <layer class="{name}" enabled="1" locked="0" pass="0">\n'
        f"{_options(options)}{properties if fields else ''}        </layer>\n"
    )


def _options(options: Mapping[str, str]) -> str:
    inner = "".join(f'          <Option name="{k}" value="{v}" type="QString"/>\n' for k, v in options.items())
    return f'        <Option type="Map">\n{inner}        </Option>\n'


def _rgba(color: str) -> str:
    """``#rrggbb`` as QGIS writes it."""
    return ",".join(str(int(color[k : k + 2], 16)) for k in (1, 3, 5)) + ",255"
