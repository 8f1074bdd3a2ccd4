"""Which bands there are to choose from: of one file, of several files as one, of a product folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geounet.errors import SceneError
from geounet.grid.geobox import GeoBox
from geounet.io import access, products
from geounet.io import bands as band_names
from geounet.io.layers import on_grid
from geounet.io.palette import COLOURS, PaletteLayer, has_palette
from geounet.io.raster import Layer, Raster

_TOKEN = re.compile(r"(?:^|[_.\-])(B\d{1,2}A?|B8A)(?=$|[_.\-])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One band that can be chosen."""

    source: access.Source
    place: int
    """0-based, among the image bands of the file."""
    name: str
    raw: str | None
    """What the file itself, or its name, calls the band."""
    colour: int = 0
    """1, 2, 3: the red, green or blue that the band's numbers stand for; 0: the band as it is."""


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The bands of a scene-to-be, in the order in which they are counted."""

    label: str
    """How messages call it."""
    entries: tuple[Entry, ...]
    default: tuple[int, ...]
    """0-based entries that are taken where none are chosen."""
    nodata: float | None = None
    """The product's own, for files that declare none."""
    finest: bool = False
    """Whether the scene's grid is that of the finest chosen file, instead of the first."""
    warnings: tuple[str, ...] = ()

    def choose(self, bands: Sequence[str] | None) -> list[Entry]:
        """The chosen entries. Raises SceneError that lists what there is."""
        places = self.default
        if bands is not None:
            names, raws = [e.name for e in self.entries], [e.raw for e in self.entries]
            places = band_names.pick(bands, names, raws, label=self.label)
        return [self.entries[p] for p in places]


def catalog_of(paths: Sequence[str], *, stack: bool, allow_remote: bool) -> Catalog:
    """What ``paths`` offer. Raises SceneError."""
    if not paths:
        raise SceneError("no file given as a scene; expected one, or several with --stack (stack=True)")
    product = products.find(Path(paths[0])) if len(paths) == 1 and not access.is_remote(paths[0]) else None
    if product is not None:
        return _of_product(product)
    if len(paths) > 1 and not stack:
        raise SceneError(f"{len(paths)} files given as one scene; add --stack (stack=True), or give one")
    return _of_files([access.resolve(p, allow_remote=allow_remote) for p in paths])


def _of_files(sources: Sequence[access.Source]) -> Catalog:
    found: list[tuple[access.Source, int, str | None, str]] = []
    for source in sources:
        with Raster(source) as raster:
            token = _token(source.path) if len(sources) > 1 else None
            alone = len(raster.descriptions) == 1
            found += [
                (source, place, text or (token if alone else None), colour)
                for place, (text, colour) in enumerate(zip(raster.descriptions, raster.colours, strict=True))
            ]
    raws, colours = [raw for _, _, raw, _ in found], [c for *_, c in found]
    names = products.landsat_names(sources[0].path, raws) or band_names.common_names(raws, colours)
    entries = [
        Entry(source=source, place=place, name=name, raw=raw)
        for (source, place, raw, _), name in zip(found, names, strict=True)
    ]
    label = sources[0].label if len(sources) == 1 else f"stack of {len(sources)} files from {sources[0].label}"
    default = tuple(range(len(entries)))
    return Catalog(label=label, entries=(*entries, *_palette_entries(sources)), default=default)


def _palette_entries(sources: Sequence[access.Source]) -> list[Entry]:
    """The colours of a palette raster, as bands that can be chosen."""
    if len(sources) != 1:
        return []
    with Raster(sources[0]) as raster:
        if not has_palette(raster):
            return []
    return [
        Entry(source=sources[0], place=0, name=name, raw=None, colour=number)
        for number, name in enumerate(COLOURS, start=1)
    ]


def _token(path: str) -> str:
    """What a file of one band is called by its name: ``B04`` of ``T32UQD_B04_10m.jp2``, else its stem."""
    stem = access.safe_stem(path)
    match = _TOKEN.search(stem)
    return match.group(1).upper() if match else stem


def _of_product(product: products.Product) -> Catalog:
    entries = tuple(Entry(source=access.resolve(b.path), place=0, name=b.name, raw=b.id) for b in product.bands)
    default = tuple(i for i, b in enumerate(product.bands) if b.default)
    return Catalog(
        label=access.one_line(str(product.folder)),
        entries=entries,
        default=default,
        nodata=product.nodata,
        finest=True,
        warnings=product.warnings,
    )


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The chosen bands, open, on one grid."""

    layers: tuple[Layer, ...]
    rasters: tuple[Raster, ...]
    """Files in the order in which they were first chosen."""
    reference: Raster
    """The file whose grid it is."""
    order: tuple[int, ...]
    """Place of each chosen band among those of all layers, one after the other."""


def open_entries(chosen: Sequence[Entry], *, nodata: float | None, fallback: float | None, finest: bool) -> Opened:
    """Open the files of ``chosen`` and lay them on one grid. Raises SceneError, and then leaves none open."""
    sources = list(dict.fromkeys(e.source for e in chosen))
    wanted = {s: list(dict.fromkeys(e.place for e in chosen if e.source == s)) for s in sources}
    rasters: list[Raster] = []
    try:
        for source in sources:
            raster = Raster(source, bands=wanted[source], nodata=nodata, fallback=fallback)
            rasters.append(raster)  # one at a time, so that the open ones are known when the next one fails
        reference = min(rasters, key=lambda r: r.geobox.pixel_size) if finest else rasters[0]
        coloured = any(e.colour for e in chosen)  # then there is one file, with one band of numbers
        layers: tuple[Layer, ...] = (
            (PaletteLayer(rasters[0]),) if coloured else tuple(_lay(r, reference.geobox) for r in rasters)
        )
    except BaseException:
        for opened in rasters:
            opened.close()
        raise
    flat = [(s, p) for s in sources for p in wanted[s]]
    order = tuple(e.colour if coloured else flat.index((e.source, e.place)) for e in chosen)
    return Opened(layers=layers, rasters=tuple(rasters), reference=reference, order=order)


def _lay(raster: Raster, grid: GeoBox) -> Layer:
    return raster if raster.geobox == grid else on_grid(raster, grid)
