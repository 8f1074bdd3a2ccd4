"""The files of a scene, and keys that name them and the way they are read; nothing is open."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from geounet.errors import SceneError
from geounet.io.burn import BurnLayer
from geounet.io.pam import SUFFIX, read_pam
from geounet.model.spec import NODATA
from geounet.train.labels import LabelTable

_SAMPLES, _SAMPLE = 16, 65536


@dataclass(frozen=True, kw_only=True)
class Source:
    """All that is needed to open a labelled scene; nothing is open."""

    name: str
    group: str
    images: tuple[tuple[Path, ...], ...]
    """Of every part, row by row, the rasters that are stacked there."""
    labels: tuple[Path, ...] = ()
    """Rasters of labels, row by row; none where vectors say everything."""
    columns: int = 1
    bands: tuple[str, ...]
    """Names that the model gives its bands."""
    chosen: tuple[str, ...] | None = None
    """Bands to read, where the file says so."""
    nodata: float | None = None
    mask: Path | None = None
    table: LabelTable
    layers: tuple[BurnLayer, ...] = ()
    background: int = NODATA
    origin: str
    """Chips of one folder have one origin."""
    synthetic: bool = False

    @property
    def image_files(self) -> tuple[Path, ...]:
        """The files, or folders, that the pixels come from."""
        return tuple(path for stack in self.images for path in stack)

    @property
    def label_files(self) -> tuple[Path, ...]:
        """Those that say what is there, and what is left out."""
        masks = () if self.mask is None else (self.mask,)
        return (*self.labels, *masks, *(layer.path for layer in self.layers))

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.image_files, *self.label_files)

    @property
    def key(self) -> str:
        """sha256 of the files (names, sizes, times) and of how they are read. SceneError for a missing file.

        It costs no byte of a file, and changes with any file: by it decoded scenes are known.
        """
        total = hashlib.sha256(repr(self._how).encode())
        for path in self.files:
            total.update(_state(path, self.name))
        return total.hexdigest()

    @property
    def recipe(self) -> str:
        """sha256 of the files' names and of how they are read; a copy of the folder has the same."""
        return hashlib.sha256(repr((self._how, [path.name for path in self.files])).encode()).hexdigest()

    @property
    def _how(self) -> tuple[object, ...]:
        layers = [replace(layer, path=Path(layer.path.name)) for layer in self.layers]  # a folder may move
        return (self.columns, self.bands, self.chosen, self.nodata, self.table, layers, self.background)


def _state(path: Path, name: str) -> bytes:
    try:
        parts = sorted(path.rglob("*")) if path.is_dir() else beside(path)
        stats = [path.stat(), *(part.stat() for part in parts)]
    except OSError as error:
        raise SceneError(f"scene {name!r}: {path} cannot be read: {error.strerror}; check the path") from error
    return repr((path.name, [(s.st_size, s.st_mtime_ns) for s in stats])).encode()


def beside(path: Path) -> list[Path]:
    """Files that belong to one: the columns of a Shapefile, a raster's mask and what is said of it."""
    if path.suffix.lower() == ".shp":
        there = [path.with_suffix(suffix) for suffix in (".dbf", ".prj")]
    else:
        there = [path.with_name(path.name + suffix) for suffix in (".msk", SUFFIX)]
    return [file for file in there if file.exists() and (not file.name.endswith(SUFFIX) or read_pam(file))]


def content_key(paths: Iterable[Path], *, whole: bool = False) -> str:
    """sha256 of files' bytes, of folders that of all their files; equal for copies under whatever name.

    All of small files, a sample of large ones (a MiB, spread over the file), unless they are read ``whole``.
    """
    total = hashlib.sha256()
    for path in (file for given in paths for file in _files(given)):
        size = path.stat().st_size
        total.update(size.to_bytes(8))
        step = _SAMPLE if whole else max(_SAMPLE, size // _SAMPLES)
        with path.open("rb") as file:
            for offset in range(0, size, step):
                file.seek(offset)
                total.update(file.read(_SAMPLE))
    return total.hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
