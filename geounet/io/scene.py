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
from geounet.io.checks import check_raster, warnings_of
from geounet.io.fingerprint import fingerprint
from geounet.io.raster import Raster


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
    allow_remote: bool = False


def open_scene(
    path: str | Path | Sequence[str | Path],
    *,
    bands: str | band_names.BandChoice | None = None,
    nodata: float | None = None,
    mask: str | Path | None = None,
    stack: bool = False,
    gsd: float | None = None,
    allow_remote: bool = False,
) -> Scene:
    """Open a raster as a scene. Raises SceneError, in one line, where that cannot work."""
    paths = [path] if isinstance(path, str | Path) else list(path)
    return open_spec(
        SceneSpec(
            paths=tuple(_absolute(p) for p in paths),
            bands=band_names.parse_choice(bands),
            nodata=None if nodata is None else float(nodata),
            mask=None if mask is None else _absolute(mask),
            stack=stack,
            gsd=None if gsd is None else float(gsd),
            allow_remote=allow_remote,
        )
    )


def open_spec(spec: SceneSpec) -> Scene:
    """Open the scene of ``spec``, on whatever machine this is."""
    return Scene(spec)


def _absolute(path: str | Path) -> str:
    text = str(path)
    return text if access.is_remote(text) else str(Path(text).expanduser().absolute())


class Scene:
    """An open scene. Belongs to the thread that opened it; ``spec`` opens it elsewhere."""

    def __init__(self, spec: SceneSpec) -> None:
        self.spec = spec
        if len(spec.paths) != 1:
            raise SceneError(f"{len(spec.paths)} files given as one scene; add --stack (stack=True), or give one")
        self._source = access.resolve(spec.paths[0], allow_remote=spec.allow_remote)
        whole = Raster(self._source, nodata=spec.nodata)
        names = band_names.common_names(whole.descriptions, whole.colours)
        places: Sequence[int] = range(len(names))
        if spec.bands is not None:
            places = band_names.pick(spec.bands, names, whole.descriptions, label=self._source.label)
            whole.close()
            whole = Raster(self._source, bands=places, nodata=spec.nodata)
        check_raster(whole)
        self._raster = whole
        self.band_names: tuple[str, ...] = tuple(names[p] for p in places)
        self.native_geobox: GeoBox = whole.geobox
        self.geobox: GeoBox = whole.geobox
        self.warnings: tuple[str, ...] = warnings_of(whole)

    @property
    def name(self) -> str:
        """A safe stem for the names of outputs."""
        return access.safe_stem(self.spec.paths[0])

    @property
    def count(self) -> int:
        """Number of chosen bands."""
        return len(self.band_names)

    @property
    def dtype(self) -> str:
        """numpy name of the pixel type."""
        return str(self._raster.dtype)

    @property
    def nodata(self) -> float | None:
        """The nodata value that all chosen bands share; None where they have none, or different ones."""
        values = set(self._raster.nodata)
        return values.pop() if len(values) == 1 else None

    @property
    def block_shape(self) -> tuple[int, int]:
        """``(height, width)`` of the compressed blocks of the source, in native pixels."""
        return self._raster.block_shape

    @property
    def fingerprint(self) -> str:
        """Hex text that changes whenever the pixels may have changed."""
        return fingerprint([self._source.path], self.spec)

    def read(self, window: Window) -> Pixels:
        """The pixels of ``window``, in pixels of ``geobox``. Raises SceneError where the file is damaged."""
        if not window.area or window.intersection(self.geobox.window) != window:
            raise ValueError(f"{window} is empty or leaves the scene of {self.geobox.shape} (height, width)")
        piece = self._raster.read(window)
        return Pixels(data=piece.data, valid=piece.valid)

    def close(self) -> None:
        """Close the files."""
        self._raster.close()

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
