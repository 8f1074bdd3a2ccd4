"""Scenes that a STAC catalogue describes: one per item, its bands from the item's assets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from geounet.errors import ConfigError
from geounet.io.access import is_remote, one_line, safe_stem
from geounet.schedule.candidate import Candidate
from geounet.schedule.stac_documents import Documents, Unreadable, resolve_href, shown
from geounet.schedule.stac_places import Place, is_api, search_api, walk_catalog
from geounet.schedule.stac_query import Query, parse_interval, read_shape, times_of

if TYPE_CHECKING:
    from geounet.schedule.config import SourceConfig

_CHECKSUMS = ("file:checksum", "checksum:multihash")
"""https://github.com/stac-extensions/file, and the extension that it replaced."""
_SIGNATURE = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|signature|expires|token"
    r"|s[eprstv]|srt|spr|sig|sk(oid|tid|[etsv])",  # https://learn.microsoft.com/rest/api/storageservices/
    re.IGNORECASE,
)
"""Parameters that say who may read an address and until when (AWS, Google, Azure), not what is there."""


def stac_candidates(
    config: SourceConfig, *, allow_remote: bool, warn: Callable[[str], None]
) -> Iterator[Candidate]:
    """The scenes of the wanted items, at most ``limit``: then the newest.

    Raises ConfigError where the catalogue cannot be read, has no such collection, or no item with such assets, and
    where assets are remote without leave; MissingExtraError without pystac-client. An item that is broken is told
    and left out.
    """
    root = config.stac or ""
    query = Query(
        collections=config.collections,
        bbox=config.bbox,
        area=read_shape(config.area) if config.area else None,
        interval=parse_interval(config.datetime),
        cloud_cover=config.cloud_cover,
    )
    items = _Items(query, config.assets, allow_remote=allow_remote, warn=warn)
    documents = Documents(allow_remote=allow_remote or is_remote(root))
    try:
        document = documents.read(root)
        if is_api(document):
            places = search_api(root, document, documents, query, limit=config.limit)
            yield from islice(items.scenes(places), config.limit)
        else:
            places = walk_catalog(root, document, documents, config.collections, warn)
            yield from sorted(items.scenes(places), key=_newest_first)[: config.limit]
    except Unreadable as error:
        raise ConfigError(f"source.stac {shown(root)} cannot be read: {error}") from error
    items.tell_lacking()


def _newest_first(scene: Candidate) -> tuple[float, str, str]:
    return -scene.time.timestamp(), scene.name, scene.source


@dataclass
class _Items:
    """Makes scenes of items."""

    query: Query
    assets: tuple[str, ...]
    allow_remote: bool = field(kw_only=True)
    warn: Callable[[str], None] = field(kw_only=True)
    lacking: list[str] = field(default_factory=list)
    """Items without one of the assets."""
    lack: str = ""
    """What the first of them lacks."""
    usable: int = 0

    def scenes(self, places: Iterator[Place]) -> Iterator[Candidate]:
        """The scenes of the wanted items."""
        for place in places:
            try:
                scene = self._scene(place) if self.query.wants(place.item) else None
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else one_line(str(error))
                self.warn(f"{place.source} is left out: it is no item of STAC: {what}")
                continue
            if scene is not None:
                self.usable += 1
                yield scene

    def tell_lacking(self) -> None:
        """Say once which items lacked an asset. Raises ConfigError where all did."""
        if not self.lacking:
            return
        if not self.usable:
            raise ConfigError(f"source.assets: no item has them all; {self.lack}")
        some = ", ".join(self.lacking[:5]) + (", …" if len(self.lacking) > 5 else "")
        self.warn(f"{len(self.lacking)} without all of source.assets left out ({some}); {self.lack}")

    def _scene(self, place: Place) -> Candidate | None:
        item = place.item
        name, assets = item["id"].strip(), item["assets"]
        missing = [asset for asset in self.assets if asset not in assets]
        if missing:
            self.lacking.append(one_line(name))
            there = ", ".join(one_line(asset) for asset in sorted(assets))
            self.lack = self.lack or f"{one_line(name)} has no {missing[0]!r}, it has {there or 'none'}"
            return None
        chosen = [assets[asset] for asset in self.assets]
        paths = tuple(resolve_href(asset["href"], place.href) for asset in chosen)
        self._check_remote(name, paths)
        return Candidate(
            name=safe_stem(re.sub(r"[/\\]", "_", name) + "."),
            source=place.source,
            paths=paths,
            time=times_of(item)[0],
            contents=tuple(_content(a, path, item) for a, path in zip(chosen, paths, strict=True)),
        )

    def _check_remote(self, name: str, paths: tuple[str, ...]) -> None:
        remote = next((path for path in paths if is_remote(path)), None)
        if remote is not None and not self.allow_remote:
            raise ConfigError(
                f"source.stac: {shown(remote)} of item {one_line(name)} is remote; set infer.allow-remote: true"
            )


def _content(asset: dict[str, Any], path: str, item: dict[str, Any]) -> str | None:
    """What names the content of a remote file without reading it; None for a file, which can be read."""
    if not is_remote(path):
        return None
    for key in _CHECKSUMS:
        if asset.get(key):
            return f"checksum {asset[key]}"
    updated = asset.get("updated") or item["properties"].get("updated") or ""
    return f"{_unsigned(path)} {updated}"


def _unsigned(address: str) -> str:
    """An address without what changes from one signature to the next."""
    parts = urlsplit(address)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _SIGNATURE.fullmatch(k)]
    return f"{shown(address)}?{urlencode(kept)}" if kept else shown(address)
