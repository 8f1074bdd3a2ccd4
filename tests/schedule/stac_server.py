"""A STAC API on loopback, over items in memory and files in a folder, and the same items as a static catalogue."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from range_server import RangeHandler, RangeServer
from shapely import box
from shapely.geometry import shape

CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
]


def item(
    name: str,
    *,
    at: tuple[float, float] = (10.0, 50.0),
    time: str = "2026-03-04T05:06:07Z",
    cloud: float | None = 5,
    collection: str = "s2",
    assets: dict[str, dict[str, Any]] | None = None,
    **properties: Any,
) -> dict[str, Any]:
    """An item of one square degree with its south-west corner ``at``."""
    place = box(at[0], at[1], at[0] + 1, at[1] + 1)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": place.__geo_interface__,
        "bbox": list(place.bounds),
        "properties": {"datetime": time, **({} if cloud is None else {"eo:cloud_cover": cloud}), **properties},
        "links": [],
        "assets": {"B04": {"href": f"files/{name}.tif"}} if assets is None else assets,
    }


@dataclass
class StacServer(RangeServer):
    """The items that an API serves, and how it behaves."""

    items: list[dict[str, Any]] = field(default_factory=list)
    collections: tuple[str, ...] = ("s2", "l8")
    page: int = 3
    """Items on a page, whatever is asked."""
    deaf: bool = False
    """It ignores everything that is asked of it but the page, as some do with what they do not know."""
    post: bool = True
    broken: bool = False
    """Searches are answered with an error."""

    @property
    def searches(self) -> list[str]:
        return [path for _, path, _ in self.requests if path.startswith("/search")]

    @property
    def downloads(self) -> list[str]:
        return [path for _, path, _ in self.requests if path.startswith("/files")]


class StacHandler(RangeHandler):
    """The API's answers; what is no part of it is a file."""

    state: StacServer

    def do_GET(self) -> None:  # noqa: N802
        if not self.counted():
            return
        parts = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        for key in ("bbox", "collections"):
            if key in asked:
                asked[key] = asked[key].split(",")
        for key in ("query", "intersects"):
            if key in asked:
                asked[key] = json.loads(asked[key])
        self._answer(parts.path, asked)

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.counted():
            self._answer(urlsplit(self.path).path, json.loads(body))

    def _answer(self, path: str, asked: dict[str, Any]) -> None:
        state = self.state
        collections = [{"type": "Collection", "id": name} for name in state.collections]
        if path == "/":
            return self._json(self._root())
        if path == "/collections":
            return self._json({"collections": collections, "links": []})
        if path.startswith("/collections/"):
            wanted = path.removeprefix("/collections/")
            found = [c for c in collections if c["id"] == wanted]
            return self._json(found[0]) if found else self._json({"code": "NotFound"}, status=404)
        if path == "/search":
            return self._json({"description": "out of order"}, status=400) if state.broken else self._search(asked)
        return self.send_file()

    def _root(self) -> dict[str, Any]:
        url = self.state.url
        search = {"rel": "search", "type": "application/geo+json", "href": f"{url}/search"}
        return {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "api",
            "description": "a test",
            "conformsTo": CONFORMS,
            "links": [
                {"rel": "self", "href": f"{url}/"},
                {"rel": "data", "href": f"{url}/collections"},
                {**search, "method": "GET"},
                *([{**search, "method": "POST"}] if self.state.post else []),
            ],
        }

    def _search(self, asked: dict[str, Any]) -> None:
        found = [i for i in self.state.items if self.state.deaf or answers(i, asked)]
        if "sortby" in asked and not self.state.deaf:
            found.sort(key=lambda i: i["properties"]["datetime"], reverse=True)
        start, size = int(asked.get("token", 0)), min(self.state.page, int(asked.get("limit", 10)))
        links = []
        if start + size < len(found):
            onward = {**asked, "token": start + size}
            link = {"rel": "next", "href": f"{self.state.url}/search", "method": self.command, "body": onward}
            if self.command == "GET":
                flat = {k: ",".join(v) if isinstance(v, list) else v for k, v in onward.items()}
                flat = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in flat.items()}
                link = {"rel": "next", "href": f"{self.state.url}/search?{urlencode(flat)}"}
            links = [link]
        self._json({"type": "FeatureCollection", "features": found[start : start + size], "links": links})

    def _json(self, value: Any, *, status: int = 200) -> None:
        self.reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def answers(found: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether an item answers a search, written from the STAC API specification."""
    place, properties = shape(found["geometry"]), found["properties"]
    if "collections" in asked and found["collection"] not in asked["collections"]:
        return False
    if "bbox" in asked and not place.intersects(box(*map(float, asked["bbox"]))):
        return False
    if "intersects" in asked and not place.intersects(shape(asked["intersects"])):
        return False
    if "datetime" in asked:
        start, end = asked["datetime"].split("/")
        time = datetime.fromisoformat(properties["datetime"])
        if start != ".." and time < datetime.fromisoformat(start):
            return False
        if end != ".." and time > datetime.fromisoformat(end):
            return False
    most = asked.get("query", {}).get("eo:cloud_cover", {}).get("lte")
    return most is None or properties.get("eo:cloud_cover", 101) <= most


def write_catalog(
    folder: Path, items: list[dict[str, Any]], *, collections: tuple[str, ...] = ("s2", "l8")
) -> Path:
    """The items as files: ``catalog.json``, a folder per collection, a folder per item, relative links."""
    folder.mkdir(parents=True, exist_ok=True)
    children = [{"rel": "child", "href": f"./{name}/collection.json"} for name in collections]
    head = {"stac_version": "1.0.0", "description": "a test"}
    (folder / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "c", **head, "links": children}))
    for name in collections:
        mine = [i for i in items if i["collection"] == name]
        links = [{"rel": "root", "href": "../catalog.json"}, {"rel": "parent", "href": "../catalog.json"}]
        links += [{"rel": "item", "href": f"./{i['id']}/{i['id']}.json"} for i in mine]
        (folder / name).mkdir(exist_ok=True)
        text = json.dumps({"type": "Collection", "id": name, **head, "links": links})
        (folder / name / "collection.json").write_text(text)
        for i in mine:
            (folder / name / i["id"]).mkdir(exist_ok=True)
            (folder / name / i["id"] / f"{i['id']}.json").write_text(json.dumps(i))
    return folder / "catalog.json"
