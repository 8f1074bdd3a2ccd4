"""``item.json``: a STAC item that says what a run made, out of what, with what.

STAC 1.1 (https://github.com/radiantearth/stac-spec) with the extensions projection, raster, classification, file
and processing. Links to its assets are relative: the folder can be moved.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geounet.grid.geobox import GeoBox, parse_crs
from geounet.io.atomic import publish_text
from geounet.io.facts import Output, RunFacts
from geounet.io.footprint import footprint
from geounet.model.canvas import CONFIDENCE_SCALE
from geounet.model.spec import NODATA, Head

CATALOG_FILE, COLLECTION_FILE, COLLECTION_ID = "catalog.json", "collection.json", "geounet"
"""A catalogue over many runs, where there is one, and the one collection in it, which lists their items."""
_EXTENSIONS = [
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
]
_MEDIA = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".geojson": "application/geo+json",
    ".geojsonl": "application/geo+json-seq",
    ".geojsons": "application/geo+json-seq",
    ".gpkg": "application/geopackage+sqlite3",
    ".fgb": "application/vnd.flatgeobuf",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".html": "text/html",
    ".json": "application/json",
    ".qml": "application/xml",
    ".xml": "application/xml",
}
_ROLES = {
    "labels": ["data"],
    "confidence": ["data", "uncertainty"],
    "polygons": ["data"],
    "lines": ["data"],
    "nodes": ["data"],
    "other": ["metadata"],
}


def write_item(path: str | Path, facts: RunFacts) -> Path:
    """Write the STAC item of a run to ``path``, in the folder of the outputs; returns the path."""
    text = json.dumps(to_item(facts, folder=Path(path).parent), indent=2, ensure_ascii=False, allow_nan=False)
    return publish_text(path, text + "\n")


def to_item(facts: RunFacts, *, folder: Path) -> dict[str, Any]:
    """The STAC item of a run whose outputs lie in ``folder``."""
    place = footprint(facts.geobox)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _EXTENSIONS,
        "id": facts.item_id or f"{facts.scene}-{facts.model.name}",
        "geometry": place[0] if place else None,
        "properties": _properties(facts),
        "links": _links(facts),
        "assets": {_key(o, folder): _asset(o, facts, folder) for o in facts.outputs},
    }
    if place:
        item["bbox"] = place[1]
    if facts.catalog_href is not None:
        item["collection"] = COLLECTION_ID
    return item


def _properties(facts: RunFacts) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "datetime": facts.datetime,
        "title": f"{facts.scene}: {', '.join(h.name for h in facts.model.heads)}",
        "processing:software": dict(sorted(facts.software.items())),
        "geounet:scene": facts.scene,
        "geounet:scene_fingerprint": facts.fingerprint,
        "geounet:bands": list(facts.bands),
        "geounet:model": facts.model.name,
        "geounet:model_version": facts.model.version,
        "geounet:model_digest": facts.model_digest,
        "geounet:settings": dict(sorted(facts.settings.items())),
        "geounet:warnings": list(facts.warnings),
    }
    if facts.lengths:
        properties["geounet:lengths"] = dict(sorted(facts.lengths.items()))
    if facts.datetime is None:  # STAC wants a range then; the widest says that nothing is known
        properties |= {"start_datetime": "0001-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}
    gsd = facts.geobox.gsd()
    if gsd is not None:
        properties["gsd"] = gsd
    return properties | _projection(facts.geobox)


def _projection(geobox: GeoBox) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "proj:code": None,
        "proj:shape": list(geobox.shape),
        "proj:transform": list(geobox.transform),
    }
    if geobox.crs is not None:
        crs = parse_crs(geobox.crs)
        authority = crs.to_authority()
        fields["proj:code"] = ":".join(authority) if authority else None
        if authority is None:
            fields["proj:wkt2"] = crs.to_wkt()
    return fields


def _links(facts: RunFacts) -> list[dict[str, str]]:
    links = []
    if (folder := facts.catalog_href) is not None:
        for rel, name in (("root", CATALOG_FILE), ("parent", COLLECTION_FILE), ("collection", COLLECTION_FILE)):
            links.append({"rel": rel, "href": f"{folder}/{name}", "type": _MEDIA[".json"]})
    if facts.scene_href is not None:
        links.append({"rel": "derived_from", "href": facts.scene_href, "title": facts.scene})
    return links


def _key(output: Output, folder: Path) -> str:
    return _relative(output.path, folder)


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_absolute() == folder.is_absolute() else path.name


def _asset(output: Output, facts: RunFacts, folder: Path) -> dict[str, Any]:
    asset: dict[str, Any] = {
        "href": "./" + quote(_relative(output.path, folder)),
        "roles": _ROLES[output.role],
        "file:size": output.bytes,
    }
    if output.path.suffix in _MEDIA:
        asset["type"] = _MEDIA[output.path.suffix]
    if output.path.name == "preview.png":
        asset["roles"] = ["overview"]
    heads = {h.name: h for h in facts.model.heads}
    if output.head in heads:
        asset["title"] = f"{output.head} {output.role}"
        asset |= _raster(heads[output.head], output.role)
    return asset


def _raster(head: Head, role: str) -> dict[str, Any]:
    if role == "confidence":
        return {"data_type": "uint8", "nodata": NODATA, "raster:scale": 1 / CONFIDENCE_SCALE, "raster:offset": 0}
    classes = [
        {"value": c.value, "name": _slug(c.name), "title": c.name, "color_hint": c.color.removeprefix("#").upper()}
        for c in head.classes
    ]
    if role == "labels":
        return {"data_type": "uint8", "nodata": NODATA, "classification:classes": classes}
    return {}


def _slug(name: str) -> str:
    """The name in the characters that the classification extension allows."""
    return re.sub(r"[^0-9A-Za-z_-]+", "-", name).strip("-") or "class"
