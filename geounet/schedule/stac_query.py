"""Which STAC items are wanted: place, time, clouds. The same answer of an API and of a folder of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapely import Geometry

CLOUDS = "eo:cloud_cover"

Interval = tuple[datetime | None, datetime | None]
"""First and last moment, both included; None is open."""


def parse_interval(text: str) -> Interval:
    """``2026-01-01/..``, ``2026-01-01/2026-02-01T12:00:00Z``, ``2026-01-01`` (that day). ValueError otherwise."""
    parts = text.strip().split("/")
    if len(parts) > 2:
        raise ValueError(f"{text!r}; expected a time, or two with a / between them")
    start, end = (_moment(part, text, last=last) for part, last in ((parts[0], False), (parts[-1], True)))
    if start is not None and end is not None and end < start:
        raise ValueError(f"{text!r} ends before it begins")
    return start, end


def _moment(part: str, text: str, *, last: bool) -> datetime | None:
    if part in ("", ".."):
        return None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", part):
        part += "T23:59:59Z" if last else "T00:00:00Z"
    try:
        return parse_time(part)
    except ValueError:
        raise ValueError(f"{text!r}; expected dates such as 2026-01-01/.. or 2026-01-01/2026-03-31") from None


def parse_time(text: str) -> datetime:
    """RFC 3339; without a zone it is UTC, as item spec asks for. ValueError otherwise."""
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def check_bbox(bbox: tuple[float, float, float, float]) -> None:
    """ValueError where it is no west, south, east, north in degrees; west > east crosses the date line."""
    west, south, east, north = bbox
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90 and west != east):
        raise ValueError(f"{list(bbox)}; expected west, south, east, north in degrees")


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked for; whatever is None or empty is not asked for."""

    collections: tuple[str, ...] = ()
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees."""
    area: Geometry | None = None
    """Longitude, latitude; instead of ``bbox``."""
    interval: Interval = (None, None)
    cloud_cover: float | None = None
    """At most so many percent; an item that does not say how many is not wanted."""

    def wants(self, item: Mapping[str, Any]) -> bool:
        """Whether an item is wanted, its collection aside. Broken ones raise ValueError, KeyError or TypeError."""
        return self._has_time(item) and self._is_clear(item) and self._is_here(item)

    @property
    def datetime_text(self) -> str | None:
        """The interval as an API takes it."""
        if self.interval == (None, None):
            return None
        return "/".join(".." if t is None else t.strftime("%Y-%m-%dT%H:%M:%SZ") for t in self.interval)

    @property
    def shape(self) -> Geometry | None:
        """Where an item must touch."""
        from shapely import box, union_all

        if self.bbox is None:
            return self.area
        west, south, east, north = self.bbox
        if west < east:
            return box(west, south, east, north)
        return union_all([box(west, south, 180, north), box(-180, south, east, north)])

    def _has_time(self, item: Mapping[str, Any]) -> bool:
        start, end = self.interval
        first, last = times_of(item)
        return (start is None or last >= start) and (end is None or first <= end)

    def _is_clear(self, item: Mapping[str, Any]) -> bool:
        if self.cloud_cover is None:
            return True
        cover = item["properties"].get(CLOUDS)
        return cover is not None and float(cover) <= self.cloud_cover

    def _is_here(self, item: Mapping[str, Any]) -> bool:
        from shapely import intersects
        from shapely.errors import ShapelyError
        from shapely.geometry import shape

        where = self.shape
        if where is None:
            return True
        if item.get("geometry") is None:
            return False
        try:
            return bool(intersects(where, shape(item["geometry"])))
        except (ShapelyError, AttributeError) as error:
            raise ValueError(f"geometry: {error}") from error


def times_of(item: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """First and last moment of an item. Raises ValueError, KeyError or TypeError where it has none."""
    properties = item["properties"]
    if properties.get("datetime") is not None:
        time = parse_time(properties["datetime"])
        return time, time
    return parse_time(properties["start_datetime"]), parse_time(properties["end_datetime"])


def read_shape(path: Path) -> Geometry:
    """The polygons of a vector file in degrees. Raises ConfigError."""
    from geounet.io.aoi import read_polygons

    return read_polygons(path, "OGC:CRS84", label="source.area")
