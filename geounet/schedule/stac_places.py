"""Where STAC items are found: the search of an API, or a walk through a static catalogue."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from geounet.errors import ConfigError
from geounet.io.access import one_line
from geounet.schedule.stac_documents import Documents, Unreadable, resolve_href, shown, told, under
from geounet.schedule.stac_query import CLOUDS, Query

Document = dict[str, Any]

_PAGE = 100  # items; what APIs allow at least, as a rule


@dataclass(frozen=True, kw_only=True)
class Place:
    """An item and where it is."""

    item: Document
    href: str
    """What its relative addresses start from."""
    source: str
    """Names it among all items."""


def is_api(document: Document) -> bool:
    """Whether a root can be searched (https://github.com/radiantearth/stac-api-spec/tree/main/item-search)."""
    return any(link.get("rel") == "search" for link in links_of(document))


def links_of(document: Document) -> list[dict[str, Any]]:
    """Its links, as far as they are any."""
    links = document.get("links")
    usable = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return [link for link in usable if isinstance(link.get("href"), str)]


def search_api(
    root: str, document: Document, documents: Documents, query: Query, *, limit: int | None
) -> Iterator[Place]:
    """What an API answers, page by page; the newest first where ``limit`` is given and the API can sort.

    Raises ConfigError where a collection is not there, Unreadable where the API does not answer.
    """
    for name in query.collections:
        _check_collection(name, root, document, documents)
    with told():
        for item in _search(root, document, documents, query, limit).items_as_dicts():
            collection, name = str(item.get("collection") or ""), str(item.get("id"))
            own = next((link["href"] for link in links_of(item) if link.get("rel") == "self"), None)
            at = under(root, f"/collections/{quote(collection)}/items/{quote(name)}")
            source = "/".join(filter(None, [shown(root).rstrip("/"), one_line(collection), one_line(name)]))
            yield Place(item=item, href=resolve_href(own, root) if own else at, source=source)


def _search(root: str, document: Document, documents: Documents, query: Query, limit: int | None) -> Any:
    from pystac_client.conformance import ConformanceClasses as Classes
    from shapely import to_geojson

    methods = {link.get("method", "GET") for link in links_of(document) if link["rel"] == "search"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the API does not say that it can; what it answers is looked at
        client: Any = documents.server.stac_object_from_dict(document, href=root)
        newest_first = limit is not None and client.conforms_to(Classes.SORT)
        clouds = query.cloud_cover is not None and client.conforms_to(Classes.QUERY)
        return client.search(
            method="POST" if "POST" in methods else "GET",
            limit=min(_PAGE, limit or _PAGE),
            collections=list(query.collections) or None,
            bbox=list(query.bbox) if query.bbox else None,
            intersects=json.loads(to_geojson(query.area)) if query.area is not None else None,
            datetime=query.datetime_text,
            query={CLOUDS: {"lte": query.cloud_cover}} if clouds else None,
            sortby=[{"field": "properties.datetime", "direction": "desc"}] if newest_first else None,
        )


def _check_collection(name: str, root: str, document: Document, documents: Documents) -> None:
    """APIs answer a search in a collection that is not there with nothing, which would look like no new scenes."""
    data = next((link["href"] for link in links_of(document) if link.get("rel") == "data"), None)
    base = resolve_href(data, root) if data else under(root, "/collections")
    try:
        documents.read(under(base, f"/{quote(name, safe='')}"))
    except Unreadable as error:
        if error.status != 404:
            raise
        listed = documents.read(base).get("collections")
        there = [str(c.get("id")) for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
        raise no_collection(name, root, there) from error


def no_collection(name: str, root: str, there: Sequence[str]) -> ConfigError:
    """The error of a collection that is not there."""
    some = ", ".join(one_line(other) for other in sorted(there)[:8])
    more = f" and {len(there) - 8} more" if len(there) > 8 else ""
    return ConfigError(f"source.collections: {shown(root)} has no {name!r}; it has {some or 'none'}{more}")


def walk_catalog(
    root: str, document: Document, documents: Documents, collections: Sequence[str], warn: Callable[[str], None]
) -> Iterator[Place]:
    """Every item of the wanted collections (of all, where none is named); what cannot be read is told and left out.

    Raises ConfigError at the end, where a wanted collection was nowhere.
    """
    seen: set[str] = set()
    read = partial(_read_or_tell, documents=documents, warn=warn)
    for place, collection in _walk(root, document, read, collections, seen):
        name = str(place.item.get("collection") or collection)
        seen.add(name)
        if not collections or name in collections:
            yield place
    for name in collections:
        if name not in seen:
            raise no_collection(name, root, sorted(seen - {""}))


def _walk(
    root: str,
    document: Document,
    read: Callable[[str], Document | None],
    collections: Sequence[str],
    seen: set[str],
) -> Iterator[tuple[Place, str]]:
    """Items with the collection that their catalogue is."""
    known, ahead = {root}, [(root, "")]
    while ahead:
        at, above = ahead.pop()
        found = document if at == root else read(at)
        if found is None:
            continue
        if found.get("type") == "Feature":
            yield Place(item=found, href=at, source=shown(at)), above
            continue
        if found.get("type") == "FeatureCollection":
            yield from ((place, above) for place in _members(found, at))
            continue
        own = str(found.get("id") or "") if found.get("type") == "Collection" else ""
        seen.add(own)
        rels = ("child",) if own and collections and own not in collections else ("child", "item")
        for link in reversed(links_of(found)):
            href = resolve_href(link["href"], at)
            if link.get("rel") in rels and href not in known:
                known.add(href)  # a catalogue that links in a circle ends
                ahead.append((href, own))


def _read_or_tell(href: str, *, documents: Documents, warn: Callable[[str], None]) -> Document | None:
    try:
        return documents.read(href)
    except Unreadable as error:
        warn(f"{shown(href)} is left out: {error}")
        return None


def _members(found: Document, at: str) -> Iterator[Place]:
    features = found.get("features")
    for item in features if isinstance(features, list) else []:
        if isinstance(item, dict):
            yield Place(item=item, href=at, source=f"{shown(at)}#{one_line(str(item.get('id')))}")
