"""Which paths may be read, and by which GDAL driver: the policy at the door.

GDAL opens nearly anything that it is given: a ``.tif`` that is really a VRT reads other files and URLs, a
``WMTS:`` string dials out, a FIFO hangs. So a path is looked at here first, and the driver is always named.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from geounet.errors import SceneError
from geounet.io import plain_vrt

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "GTiff"),
    (b"MM\0*", "GTiff"),
    (b"II+\0", "GTiff"),  # BigTIFF
    (b"MM\0+", "GTiff"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),  # a bare JPEG 2000 codestream
    (b"EHFA_HEADER_TAG", "HFA"),
)
REMOTE_DRIVERS = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG", "HFA")
"""Drivers that may open what lies behind a URL; their files are whole in themselves."""
DRIVERS = (*REMOTE_DRIVERS, "ENVI", "VRT")
"""Drivers that may open a local scene; see :func:`sniff_driver`."""
EXPECTED = "GeoTIFF, COG, JPEG 2000, PNG, JPEG, Erdas Imagine (.img), ENVI, or a plain .vrt"

_SCHEMES = {
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}
_REMOTE_PREFIXES = ("/vsicurl/", "/vsicurl?", "/vsis3/", "/vsigs/", "/vsiaz/")
_MAX_STEM = 120


@dataclass(frozen=True, kw_only=True)
class Source:
    """One raster file that may be opened, and how."""

    path: str
    """What GDAL is given: an absolute local path, or a ``/vsi…`` path."""
    drivers: tuple[str, ...]
    """The drivers that may open it."""
    remote: bool
    files: tuple[str, ...] = ()
    """All local files that its pixels come from; empty where it is remote."""
    beside: tuple[str, ...] = ()
    """Their mask and overview files."""

    @property
    def label(self) -> str:
        """The path as a message shows it: one line, without the password or the signature of a URL."""
        return public_url(self.path) if self.remote else one_line(self.path)


def public_url(path: str) -> str:
    """A remote path without what only its owner may know: user, password, and the signature in its query."""
    address = re.split(r"[?#]", path.removeprefix("/vsicurl/"), maxsplit=1)[0]
    return one_line(re.sub(r"//[^/]*@", "//", address))


def one_line(text: str) -> str:
    """``text`` without line breaks and control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_remote(path: str) -> bool:
    """Whether ``path`` names something that is fetched over a network."""
    scheme = re.match(r"^([A-Za-z][A-Za-z0-9+.-]+)://", path)
    return scheme is not None or path.startswith("/vsi")


def resolve(path: str | Path, *, allow_remote: bool = False) -> Source:
    """The source behind ``path``.

    Raises SceneError where there is no such file, where it is none of the allowed formats, or where it is
    remote and ``allow_remote`` is off.
    """
    text = str(path)
    if is_remote(text):
        return _resolve_remote(text, allow_remote=allow_remote)
    return _resolve_local(Path(text))


def _resolve_remote(text: str, *, allow_remote: bool) -> Source:
    scheme, sep, rest = text.partition("://")
    gdal_path = text
    if sep and not text.startswith("/vsi"):
        if scheme.lower() not in _SCHEMES:
            raise SceneError(
                f"{one_line(text)}: scheme {one_line(scheme)}:// is not known; expected {', '.join(_SCHEMES)}"
            )
        gdal_path = _SCHEMES[scheme.lower()] + rest
    source = Source(path=gdal_path, drivers=REMOTE_DRIVERS, remote=True)
    if not gdal_path.startswith(_REMOTE_PREFIXES) or "/vsi" in gdal_path[5:]:
        raise SceneError(
            f"{source.label}: this kind of /vsi path is not read; give a file, an http(s) or an s3 URL"
        )
    if not allow_remote:
        raise SceneError(f"{source.label} is remote; add --allow-remote (allow_remote=True) to read it")
    return source


def _resolve_local(path: Path) -> Source:
    label = one_line(str(path))
    try:
        absolute = path.expanduser().absolute()
        absolute.stat()
        if not absolute.is_file():
            kind = "a folder that is no product known here" if absolute.is_dir() else "not a regular file"
            raise SceneError(f"{label} is {kind}; expected a raster file, a Sentinel-2 .SAFE or a Landsat folder")
        driver = sniff_driver(absolute)
        members = plain_vrt.sources(absolute) if driver == "VRT" else ()
        for member in members:
            if sniff_driver(member) == "VRT":
                raise SceneError(f"{one_line(str(member))} is a VRT inside a VRT; give the files themselves")
        beside = sidecars(absolute, *members)
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SceneError(f"{label} cannot be read: {one_line(reason)}; check the path") from None
    files = tuple(map(str, (absolute, *members)))
    return Source(path=str(absolute), drivers=(driver,), remote=False, files=files, beside=tuple(map(str, beside)))


def sidecars(*paths: Path) -> list[Path]:
    """Mask and overview files of ``paths``, which GDAL opens unasked, with any driver that takes them.

    Raises SceneError where one of them is a VRT or nothing that is known here.
    """
    listed = {folder: _masks_and_overviews(folder) for folder in {path.parent for path in paths}}  # each once
    found = [
        path.with_name(name) for path in paths for name in listed[path.parent] if name.startswith(path.name + ".")
    ]
    for sidecar in found:
        if sniff_driver(sidecar) == "VRT":
            raise SceneError(f"{one_line(str(sidecar))} is a VRT, which reads other files; remove it")
    return found


def _masks_and_overviews(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.name.lower().endswith((".msk", ".ovr")) and e.is_file())


def sniff_driver(path: Path) -> str:
    """The driver for a local file, from its first bytes. Raises SceneError where none is allowed."""
    label = one_line(str(path))
    with path.open("rb") as file:
        head = file.read(65536)
    if not head:
        raise SceneError(f"{label} is empty; expected {EXPECTED}")
    # GDAL's VRT driver takes any file that has this tag in its first bytes, whatever it is called
    if b"<VRTDataset" in head:
        if path.suffix.lower() != ".vrt":
            raise SceneError(f"{label} is a VRT in disguise, which reads other files; give the files themselves")
        return "VRT"
    for magic, driver in _MAGIC:
        if head.startswith(magic):
            return driver
    if envi_header(path) is not None:
        return "ENVI"
    raise SceneError(f"{label} is no raster that geounet reads; expected {EXPECTED}")


def envi_header(path: Path) -> Path | None:
    """The ENVI header beside ``path``, if there is one."""
    for candidate in (path.with_name(path.name + ".hdr"), path.with_suffix(".hdr")):
        if candidate != path and candidate.is_file():
            with candidate.open("rb") as file:
                if file.read(4) == b"ENVI":
                    return candidate
    return None


def safe_stem(path: str | Path) -> str:
    """A name for outputs made from ``path``; it cannot leave the folder that it is put into.

    Letters and digits of any script, ``-``, ``_``, ``.`` and blanks stay; the rest becomes ``_``. At most
    120 characters (and 200 bytes, as file systems count), no leading or trailing dot or blank, never empty.
    """
    text = str(path)
    if is_remote(text):
        text = unquote(urlsplit(text.removeprefix("/vsicurl/")).path)
    last = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    stem = Path(last).stem if Path(last).suffix.lower() not in ("", ".") else last
    kept = "".join(c if c.isalnum() or c in "-_. " else "_" for c in stem)
    kept = kept.encode("utf-8", "replace")[:200].decode("utf-8", "ignore")[:_MAX_STEM]
    return kept.strip(". ") or "scene"
