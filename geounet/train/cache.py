"""Decoded scenes on the disk: within a budget, whole or not at all, and nothing that nobody needs any more."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from geounet.errors import SceneError, WorkError, cannot_write
from geounet.grid.geobox import GeoBox
from geounet.train.open_source import OpenSource, strips
from geounet.train.source import Source, beside, content_key

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a scene once it was opened."""

    height: int
    width: int
    bands: int
    dtype: str
    content: str
    """Key of the images' bytes."""
    geobox: GeoBox | None
    truth: str = ""
    """Key of the labels' bytes, and of what belongs to them; empty where an older version decoded the scene."""
    beside: str = ""
    """Key of what belongs to the images; empty where nothing does."""

    @property
    def area(self) -> int:
        """Pixels."""
        return self.height * self.width

    @property
    def nbytes(self) -> int:
        """Of the decoded pixels and labels."""
        return self.area * (self.bands * np.dtype(self.dtype).itemsize + 1)

    @classmethod
    def read(cls, source: Source) -> Facts:
        """From the files. Raises SceneError for what is missing or does not fit together."""
        opened = OpenSource(source)
        try:
            height, width = opened.shape
            return cls(
                height=height,
                width=width,
                bands=len(source.bands),
                dtype=str(opened.dtype),
                content=content_key(source.image_files),
                truth=content_key([*source.label_files, *_theirs(source.label_files)], whole=True),
                beside=content_key(theirs) if (theirs := _theirs(source.image_files)) else "",
                geobox=opened.geobox,
            )
        finally:
            opened.close()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Scenes that are stored together: one, or all chips of a folder."""

    sources: tuple[Source, ...]
    key: str


class Cache:
    """A folder of decoded bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def facts(self, bundle: Bundle) -> list[Facts]:
        """Of every scene; from the cache where it knows the bundle, else the files are opened."""
        stored = self._index(bundle)
        if stored.exists():
            found = json.loads(stored.read_text(encoding="utf-8"))
            return [Facts(**{**f, "geobox": _geobox(f["geobox"])}) for f in found]
        return [Facts.read(source) for source in bundle.sources]

    def holds(self, bundle: Bundle) -> bool:
        """Whether it is decoded already."""
        return self._index(bundle).exists()

    def arrays(self, bundle: Bundle, facts: Sequence[Facts]) -> list[tuple[NDArray[Any], NDArray[np.uint8]]]:
        """Image and labels of every scene, memory-mapped; decodes them where they are not there yet.

        Raises SceneError for what cannot be decoded, WorkError where the disk does not take it.
        """
        if not self.holds(bundle):
            self._decode(bundle, facts)
        files = [np.load(path, mmap_mode="r") for path in self._files(bundle)]
        out, start = [], 0
        for f in facts:
            here = slice(start, start + f.area)
            out.append(
                (files[0][here].reshape(f.height, f.width, f.bands), files[1][here].reshape(f.height, f.width))
            )
            start += f.area
        return out

    def within(self, bundles: Sequence[tuple[Bundle, int]], budget_gb: float | None) -> set[str]:
        """Keys of the bundles, with their bytes, that the disk budget has room for: the small ones first.

        Where no budget is given: half of what would be free without the cache.
        """
        held = sum(size for bundle, size in bundles if self.holds(bundle))
        room = (self._free() + held) / 2 if budget_gb is None else budget_gb * GIB
        chosen: set[str] = set()
        for bundle, size in sorted(bundles, key=lambda pair: (pair[1], pair[0].key)):
            if size <= room:
                chosen.add(bundle.key)
                room -= size
        return chosen

    def forget_others(self, keys: set[str]) -> None:
        """Remove what was decoded for scenes that are none of these, or was left half done."""
        for file in self.folder.glob("*"):
            ours = file.name.endswith((".image.npy", ".labels.npy", ".scenes.json"))
            if file.is_file() and ours and file.name.split(".")[0] not in {key[:24] for key in keys}:
                file.unlink(missing_ok=True)
        for half in self.folder.glob("*.tmp"):
            if not _is_being_written(half):
                half.unlink(missing_ok=True)

    def _free(self) -> int:
        folder = self.folder
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def _index(self, bundle: Bundle) -> Path:
        return self.folder / f"{bundle.key[:24]}.scenes.json"

    def _files(self, bundle: Bundle) -> tuple[Path, Path]:
        stem = bundle.key[:24]
        return self.folder / f"{stem}.image.npy", self.folder / f"{stem}.labels.npy"

    def _decode(self, bundle: Bundle, facts: Sequence[Facts]) -> None:
        """Pixels and labels one after the other; the list of scenes last: where it is, the bundle is whole."""
        what = f"scene {bundle.sources[0].origin!r}"
        dtypes = sorted({f.dtype for f in facts})
        if len(dtypes) > 1:
            raise SceneError(f"{what}: its images have pixel types {' and '.join(dtypes)}; expected one")
        area, bands = sum(f.area for f in facts), facts[0].bands
        files = self._files(bundle)
        with self._storing(what):
            self.folder.mkdir(parents=True, exist_ok=True)
            staged = [_staged(file) for file in files]
            image = _new_array(staged[0], dtypes[0], (area, bands))
            labels = _new_array(staged[1], "uint8", (area,))
            start = 0
            for source, f in zip(bundle.sources, facts, strict=True):
                here = slice(start, start + f.area)
                _fill(
                    source, image[here].reshape(f.height, f.width, bands), labels[here].reshape(f.height, f.width)
                )
                start += f.area
            image.flush()
            labels.flush()
            for half, file in zip(staged, files, strict=True):
                half.replace(file)
            index = self._index(bundle)
            _staged(index).write_text(json.dumps([asdict(f) for f in facts]), encoding="utf-8")
            _staged(index).replace(index)

    @contextmanager
    def _storing(self, what: str) -> Iterator[None]:
        """What fails leaves no file, and no folder that was not there."""
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            yield
        except (FileExistsError, NotADirectoryError, PermissionError) as error:
            raise cannot_write(self.folder, error) from error
        except OSError as error:
            raise WorkError(
                f"{what} cannot be stored in {self.folder}: {error.strerror or error}; "
                "free some space, or give data.cache_gb less"
            ) from error
        finally:
            for half in self.folder.glob(_staged(Path("*")).name):
                half.unlink(missing_ok=True)
            with suppress(OSError):  # those that hold something stay
                for folder in missing:
                    folder.rmdir()


def _theirs(paths: Iterable[Path]) -> list[Path]:
    """What belongs to files; a folder is whole in itself."""
    return [part for path in paths if not path.is_dir() for part in beside(path)]


def _staged(file: Path) -> Path:
    """Where a file is written before it has its name; two trainings may decode one scene at a time."""
    return file.with_name(f"{file.name}.{os.getpid()}.tmp")


def _is_being_written(staged: Path) -> bool:
    """By another process of this machine."""
    process = staged.name.split(".")[-2]
    return process.isdigit() and int(process) != os.getpid() and psutil.pid_exists(int(process))


def _new_array(path: Path, dtype: str, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[Any]]:
    """An array on the disk, its room taken at once: a disk that fills up later would kill the process (SIGBUS)."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _fill(source: Source, image: NDArray[Any], labels: NDArray[np.uint8]) -> None:
    """Decode a scene strip by strip."""
    opened = OpenSource(source)
    try:
        for window in strips(opened.shape):
            image[window.slices()], labels[window.slices()] = opened.read(window)
    finally:
        opened.close()


def _geobox(found: dict[str, Any] | None) -> GeoBox | None:
    return None if found is None else GeoBox(**{**found, "transform": tuple(found["transform"])})
