"""A scene: one georeferenced raster, opened by a spec that is all that travels, read window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io import access
from geounet.io import bands as band_names
from geounet.io.catalog import catalog_of, open_entries
from geounet.io.checks import check_raster, warnings_of
from geounet.io.fingerprint import fingerprint
from geounet.io.mask import SceneMask
from geounet.io.nodata import either
from geounet.io.raster import Piece, Raster
from geounet.io.resample import AxisMap, resample

MIN_RATIO, MAX_RATIO = 1 / 32, 256
"""Bounds of working pixel size over the file's: beyond them, one row asks for too much, or shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Raw pixels of one window."""

    data: NDArray[Any]
    """``(bands, height, width)`` in the scene's dtype; pixels that are not valid are as the file has them."""
    valid: NDArray[np.bool_]
    """``(height, width)``, True where there is data (the rule: ``geounet.io.nodata``)."""


@dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """Everything needed to open a scene again, in another process: small, frozen, picklable."""

    paths: tuple[str, ...]
    """Absolute local paths or URLs."""
    bands: tuple[str, ...] | None = None
    """Chosen bands, by 1-based index or name; None: all image bands."""
    nodata: float | None = None
    """Replaces the declared nodata of every band."""
    mask: str | None = None
    """A raster whose non-zero pixels are left out."""
    stack: bool = False
    gsd: float | None = None
    """Ground sample distance, in metres, at which the scene is seen; None: its own."""
    pixel_size: float | None = None
    """Its own ground sample distance, in metres, where the file has no CRS to say it."""
    allow_remote: bool = False


def open_scene(
    path: str | Path | Sequence[str | Path],
    *,
    bands: str | band_names.BandChoice | None = None,
    nodata: float | None = None,
    mask: str | Path | None = None,
    stack: bool = False,
    gsd: float | None = None,
    pixel_size: float | None = None,
    allow_remote: bool = False,
) -> Scene:
    """Open a raster as a scene; the arguments are those of `SceneSpec`.

    Raises SceneError, in one line, where that cannot work.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    return open_spec(
        SceneSpec(
            paths=tuple(_absolute(p) for p in paths),
            bands=band_names.parse_choice(bands),
            nodata=None if nodata is None else float(nodata),
            mask=None if mask is None else _absolute(mask),
            stack=stack,
            gsd=None if gsd is None else float(gsd),
            pixel_size=None if pixel_size is None else float(pixel_size),
            allow_remote=allow_remote,
        )
    )


def open_spec(spec: SceneSpec) -> Scene:
    """Open the scene of ``spec``, on whatever machine this is."""
    return Scene(spec)


def _absolute(path: str | Path) -> str:
    text = str(path)
    if not text.strip():  # which would be the folder we are in
        raise SceneError("the path of a raster is empty; is a variable of the shell not set?")
    if access.is_remote(text):
        return text
    try:
        return str(Path(text).expanduser().absolute())
    except RuntimeError as error:  # ~nobody
        raise SceneError(f"{access.one_line(text)} cannot be read: {error}; check the path") from error


class Scene:
    """An open scene. Belongs to the thread that opened it; ``spec`` opens it elsewhere."""

    def __init__(self, spec: SceneSpec) -> None:
        self.spec = spec
        catalog = catalog_of(spec.paths, stack=spec.stack, allow_remote=spec.allow_remote)
        chosen = catalog.choose(spec.bands)
        self._opened = open_entries(chosen, nodata=spec.nodata, fallback=catalog.nodata, finest=catalog.finest)
        self._mask: SceneMask | None = None
        self.band_names: tuple[str, ...] = tuple(e.name for e in chosen)
        self.all_band_names: tuple[str, ...] = tuple(e.name for e in catalog.entries)
        self.native_geobox: GeoBox = self._opened.reference.geobox
        try:
            for raster in self._opened.rasters:
                check_raster(raster)
            self.native_gsd = native_gsd(self.native_geobox, spec.pixel_size, label=catalog.label)
            self.geobox: GeoBox = working_grid(
                self.native_geobox, spec.gsd, own=self.native_gsd, label=catalog.label
            )
            if spec.mask is not None:
                source = access.resolve(spec.mask, allow_remote=spec.allow_remote)
                self._mask = SceneMask(source, self.native_geobox)
        except BaseException:
            self.close()
            raise
        told = [w for r in self._opened.rasters for w in warnings_of(r)]
        self.warnings: tuple[str, ...] = tuple(dict.fromkeys([*catalog.warnings, *told]))

    @property
    def name(self) -> str:
        """A safe stem for the names of outputs."""
        return access.safe_stem(self.spec.paths[0])

    @property
    def count(self) -> int:
        """Number of chosen bands."""
        return len(self.band_names)

    @property
    def gsd(self) -> float | None:
        """Ground sample distance in metres of the pixels of ``geobox``; None where nobody said."""
        if self.native_gsd is None:
            return None
        return self.native_gsd * self.geobox.pixel_size[0] / self.native_geobox.pixel_size[0]

    @property
    def dtype(self) -> str:
        """numpy name of the pixel type."""
        return str(np.result_type(*(layer.dtype for layer in self._opened.layers)))

    @property
    def nodata(self) -> float | None:
        """The nodata value that all chosen bands share; None where they have none, or different ones."""
        values = {str(v): v for r in self._opened.rasters for v in r.nodata}
        return next(iter(values.values())) if len(values) == 1 else None

    @property
    def block_shape(self) -> tuple[int, int]:
        """``(height, width)`` of the compressed blocks of the (first) file, in its own pixels."""
        return self._opened.reference.block_shape

    @property
    def rasters(self) -> tuple[Raster, ...]:
        """The open files; for ``describe``."""
        return self._opened.rasters

    @property
    def fingerprint(self) -> str:
        """Hex text that changes whenever the pixels may have changed."""
        masks = (self._mask.raster,) if self._mask else ()
        return fingerprint((*self._opened.rasters, *masks), self._options())

    def _options(self) -> tuple[object, ...]:
        """What besides the files decides the pixels; the paths do not, so that a scene may move."""
        spec = self.spec
        return (self.band_names, self._opened.order, spec.nodata, spec.mask is not None, self.geobox)

    def read(self, window: Window) -> Pixels:
        """The pixels of ``window``, in pixels of ``geobox``. Raises SceneError where the file is damaged."""
        if not window.area or window.intersection(self.geobox.window) != window:
            raise ValueError(f"{window} is empty or leaves the scene of {self.geobox.shape} (height, width)")
        if self.geobox is self.native_geobox:
            piece = self._native(window)
        else:
            rows, cols = zoom_axes(self.native_geobox, self.geobox)
            dtype = np.dtype(self.dtype)
            piece = resample(self._native, rows=rows, cols=cols, window=window, count=self.count, dtype=dtype)
        return Pixels(data=piece.data, valid=piece.valid)

    def read_native(self, window: Window) -> Pixels:
        """The pixels of ``window`` in pixels of ``native_geobox``."""
        piece = self._native(window)
        return Pixels(data=piece.data, valid=piece.valid)

    def _native(self, window: Window) -> Piece:
        piece = joined([layer.read(window) for layer in self._opened.layers], self._opened.order, self.dtype)
        if self._mask is None:
            return piece
        bad = either(piece.bad, self._mask.marks(window))
        return Piece(data=piece.data, blank=piece.blank, bad=bad)

    def close(self) -> None:
        """Close the files."""
        for layer in self._opened.layers:
            layer.close()
        if self._mask is not None:
            self._mask.close()

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def joined(pieces: Sequence[Piece], order: Sequence[int], dtype: str) -> Piece:
    """The bands of all ``pieces`` as one, in ``order``; blank where all of them are."""
    first = pieces[0]
    if len(pieces) == 1 and list(order) == list(range(len(first.data))):
        return first
    data = np.concatenate([p.data.astype(dtype, copy=False) for p in pieces])[list(order)]
    bad, blank = first.bad, first.blank
    for piece in pieces[1:]:
        bad = either(bad, piece.bad)
        blank = None if blank is None or piece.blank is None else blank & piece.blank
    return Piece(data=data, blank=blank, bad=bad)


def native_gsd(native: GeoBox, pixel_size: float | None, *, label: str) -> float | None:
    """Metres per pixel of a file: by its CRS, else as told. SceneError where both speak and disagree."""
    own = native.gsd()
    if own is None or pixel_size is None or abs(pixel_size / own - 1) < 0.01:
        return pixel_size if own is None else own
    raise SceneError(
        f"{label}: pixel size {pixel_size:g} m, but by its CRS it is {own:.3g} m; --pixel-size is for rasters "
        "without a CRS, leave it out"
    )


def working_grid(native: GeoBox, gsd: float | None, *, own: float | None, label: str) -> GeoBox:
    """The grid at ``gsd`` metres over the same ground; ``native``, of ``own`` metres, where both agree to 1 %."""
    if gsd is None:
        return native
    if own is None:
        raise SceneError(
            f"{label} has no CRS, so its ground sample distance is not known; say it with --pixel-size METRES, or "
            "leave --gsd out"
        )
    if not gsd > 0 or not MIN_RATIO <= gsd / own <= MAX_RATIO:
        raise SceneError(
            f"{label}: gsd {gsd:g} m; expected {own * MIN_RATIO:.3g} to {own * MAX_RATIO:.3g} m, "
            f"since its own is {own:.3g} m"
        )
    return native if abs(gsd / own - 1) < 0.01 else native.zoom(gsd / own)


def zoom_axes(native: GeoBox, zoomed: GeoBox) -> tuple[AxisMap, AxisMap]:
    """How the pixels of ``zoomed = native.zoom(ratio)`` fall on those of ``native``."""
    across = zoomed.pixel_size[0] / native.pixel_size[0]
    down = zoomed.pixel_size[1] / native.pixel_size[1]
    return (
        AxisMap(scale=down, offset=0.0, source=native.height),
        AxisMap(scale=across, offset=0.0, source=native.width),
    )
