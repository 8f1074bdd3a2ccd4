"""Folders of Sentinel-2 and Landsat products: which file in them is which band."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geounet.errors import SceneError
from geounet.io.bands import LANDSAT_OLI, LANDSAT_TM, SENTINEL2

# L1C: T32UQD_20200101T101010_B02.jp2, L2A: T32UQD_20200101T101010_B02_10m.jp2
# https://sentiwiki.copernicus.eu/web/s2-products
_S2_FILE = re.compile(r"_(B\d\d|B8A)(?:_(10|20|60)m)?\.(?:jp2|tif)$", re.IGNORECASE)
_S2_ORDER = ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12", "B01", "B09", "B10")
_S2_TEN_METRES = ("B02", "B03", "B04", "B08")
# LC08_L2SP_193024_20200101_20200823_02_T1_SR_B4.TIF, ..._T1_B4.TIF (level 1)
# https://www.usgs.gov/landsat-missions/landsat-collection-2
_LANDSAT_FILE = re.compile(r"^(L[COTE]0[4-9])_.*?_((?:SR_|ST_)?B\d{1,2})\.TIF$", re.IGNORECASE)
_LANDSAT_DEFAULT = ("blue", "green", "red", "nir08", "swir16", "swir22")


@dataclass(frozen=True, kw_only=True)
class Band:
    """One file of a product."""

    path: Path
    id: str
    """As the mission calls it: ``B04``, ``SR_B4``."""
    name: str
    """Common name."""
    default: bool


@dataclass(frozen=True, kw_only=True)
class Product:
    """A folder that is one scene."""

    folder: Path
    bands: tuple[Band, ...]
    nodata: float
    """What both missions write where they saw nothing."""
    warnings: tuple[str, ...] = ()


def find(path: Path) -> Product | None:
    """The product at ``path`` (its folder, or the ``MTD_MSI*.xml`` in it); None where there is none."""
    path = path.expanduser()
    folder = path.parent if re.fullmatch(r"MTD_MSIL(1C|2A)\.xml", path.name) else path
    try:
        if not folder.is_dir():
            return None
        return _sentinel2(folder) if _is_sentinel2(folder) else _landsat(folder)
    except OSError as error:
        raise SceneError(f"{folder} cannot be listed: {error.strerror}; check its permissions") from None


def _is_sentinel2(folder: Path) -> bool:
    return folder.suffix.upper() == ".SAFE" or (folder / "GRANULE").is_dir()


def _sentinel2(folder: Path) -> Product:
    files = sorted(folder.glob("GRANULE/*/IMG_DATA/*")) + sorted(folder.glob("GRANULE/*/IMG_DATA/R*m/*"))
    granules = {f.relative_to(folder).parts[1] for f in files}
    if len(granules) > 1:
        raise SceneError(f"{folder} has {len(granules)} granules; give the IMG_DATA files of one with --stack")
    found = _finest(files)
    if not found:
        raise SceneError(f"{folder} has no band files (GRANULE/*/IMG_DATA/**/*_B04*.jp2); is it unpacked whole?")
    ids = [i for i in _S2_ORDER if i in found]
    ten = [i for i in ids if i in _S2_TEN_METRES] or ids
    bands = tuple(Band(path=found[i], id=i, name=SENTINEL2[i], default=i in ten) for i in ids)
    return Product(folder=folder, bands=bands, nodata=0, warnings=_offset_warning(folder, found[ids[0]]))


def _finest(files: Iterable[Path]) -> dict[str, Path]:
    """Per band id the file of the finest resolution (level 2A has most bands at several)."""
    found: dict[str, tuple[int, Path]] = {}
    for file in files:
        match = _S2_FILE.search(file.name)
        if match is None:
            continue
        band, metres = match.group(1).upper(), int(match.group(2) or 0)
        if band in SENTINEL2 and (band not in found or metres < found[band][0]):
            found[band] = metres, file
    return {band: file for band, (_, file) in found.items()}


def _offset_warning(folder: Path, file: Path) -> tuple[str, ...]:
    """Since processing baseline 04.00 all values are 1000 higher, which the pixels do not say.

    https://sentiwiki.copernicus.eu/web/s2-processing
    """
    match = re.search(r"_N(\d{4})_", str(folder.name))
    if match is None or int(match.group(1)) < 400:
        return ()
    return (
        f"Sentinel-2 processing baseline {match.group(1)}: values are 1000 above those before 0400 ({file.name})",
    )


def _landsat(folder: Path) -> Product | None:
    files = sorted(p for p in folder.iterdir() if _LANDSAT_FILE.match(p.name))
    if not files:
        return None
    scenes = {re.sub(r"_(SR_|ST_)?B\d+\.TIF$", "", f.name, flags=re.IGNORECASE) for f in files}
    if len(scenes) > 1:
        raise SceneError(f"{folder} has files of {len(scenes)} Landsat scenes; give those of one with --stack")
    found = []
    for file in files:
        sensor, band = _landsat_parts(file.name)
        name = _landsat_table(sensor).get(band.rsplit("_", maxsplit=1)[-1])
        if name is not None:
            found.append(Band(path=file, id=band, name=name, default=name in _LANDSAT_DEFAULT))
    found.sort(key=lambda b: int(b.id.rsplit("B", maxsplit=1)[1]))
    return Product(folder=folder, bands=tuple(found), nodata=0)


def _landsat_parts(name: str) -> tuple[str, str]:
    match = _LANDSAT_FILE.match(name)
    if match is None:
        raise ValueError(name)
    return match.group(1).upper(), match.group(2).upper()


def _landsat_table(sensor: str) -> dict[str, str]:
    return LANDSAT_OLI if sensor.endswith(("08", "09")) else LANDSAT_TM


def landsat_names(path: str, raws: Sequence[str | None]) -> tuple[str, ...] | None:
    """Common names of stacked Landsat files, whose band ids mean something only beside the sensor's name."""
    match = _LANDSAT_FILE.match(Path(path).name)
    if match is None or len(raws) < 2:
        return None
    table = _landsat_table(match.group(1).upper())
    return tuple(table.get(r or "", r or f"band{i}") for i, r in enumerate(raws, start=1))
