"""Where `vectorize` may write: names that fit the formats, and nothing that is there or that is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geounet.errors import ConfigError, SceneError
from geounet.io.vectors import SUFFIXES, check_formats
from geounet.run.line_options import line_paths
from geounet.run.squared_classes import regularized_paths

_FOREIGN = frozenset(
    [".kml", ".kmz", ".gml", ".gdb", ".dxf", ".csv", ".tab", ".mif", ".sqlite", ".svg", ".pdf", ".zip"]
)
"""Suffixes of other formats: GeoJSON under such a name would be read by nobody."""


def refuse_existing(paths: Iterable[Path], *, overwrite: bool, option: str = "") -> None:
    """ConfigError where one of the files is there already; ``option`` is what names it."""
    for path in paths:
        if path.exists() and not overwrite:
            raise ConfigError(
                f"{option}{path} is there already; add --overwrite (overwrite=True), or name another output"
            )


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The files that are to be written."""

    polygons: Mapping[str, Path]
    """By format, as all but the raster are."""
    lines: Mapping[str, tuple[Path, Path]]
    """Centre-lines, and their nodes."""
    squares: Mapping[str, Path]
    """Polygons with right angles."""
    cleaned: Path | None

    @property
    def line_files(self) -> tuple[Path, ...]:
        """Centre-lines and nodes of all formats."""
        return tuple(path for pair in self.lines.values() for path in pair)

    @property
    def geopackage(self) -> Path | None:
        """The GeoPackage that takes all layers, where one is asked for."""
        return self.polygons.get("gpkg")

    def check(self, inputs: Mapping[str, str | Path | None], *, overwrite: bool) -> None:
        """ConfigError where one of them is an input, or is there and must not be replaced."""
        vectors = [*self.polygons.values(), *self.line_files, *self.squares.values()]
        rasters = [] if self.cleaned is None else [self.cleaned]
        refuse_existing(self.polygons.values(), overwrite=overwrite)
        refuse_existing(rasters, overwrite=overwrite, option="--cleaned ")
        keep_inputs([*vectors, *rasters], inputs)
        refuse_existing(vectors, overwrite=overwrite)


def targets(
    labels: Path,
    output: str | Path | None,
    formats: Sequence[str],
    *,
    cleaned: str | Path | None,
    lines: bool,
    squares: bool,
) -> Targets:
    """What is to be written, and where. ConfigError where a name or a folder cannot be right."""
    polygons = output_paths(labels, output, check_formats(formats))
    package = {"gpkg": polygons["gpkg"]} if "gpkg" in polygons else {}  # it alone can hold several layers
    return Targets(
        polygons=polygons,
        lines=line_paths(polygons) | {name: (path, path) for name, path in package.items()} if lines else {},
        squares=regularized_paths(polygons) | package if squares else {},
        cleaned=cleaned_path(cleaned, polygons.values()),
    )


def output_paths(labels: Path, output: str | Path | None, formats: Sequence[str]) -> dict[str, Path]:
    """The file of each format."""
    if output is None and labels.is_dir():
        raise SceneError(f"{labels} is a folder; expected a raster of class values")
    if output is not None and Path(output).is_dir():
        raise ConfigError(
            f"output {output} is a folder; expected the name of a file, such as {_example(labels, output)}"
        )
    base = Path(output) if output is not None else labels.with_suffix(SUFFIXES[formats[0]])
    stem = base.with_suffix("") if base.suffix.lower() in SUFFIXES.values() else base
    paths = {f: stem.with_name(stem.name + SUFFIXES[f]) for f in formats}
    if len(formats) == 1 and output is not None and base.suffix:
        _check_suffix(base, formats[0])
        paths = {formats[0]: base}
    if not base.parent.is_dir():
        raise ConfigError(f"output folder {base.parent} is not there; make it, or name another one")
    return paths


def _example(labels: Path, folder: str | Path) -> Path:
    return Path(folder) / f"{labels.stem or 'polygons'}.geojson"


def _check_suffix(path: Path, only: str) -> None:
    """ConfigError where the file's name says another format than the only one that is asked for."""
    if path.suffix.lower() in _FOREIGN:
        raise ConfigError(
            f"{path} is called {path.suffix}, which geounet does not write; expected {', '.join(SUFFIXES.values())}"
        )
    said = [name for name, suffix in SUFFIXES.items() if suffix == path.suffix.lower()]
    if said and only not in said:
        raise ConfigError(
            f"{path} is called {path.suffix}, but the format is {only}: give --format {said[0]} "
            f"(formats=({said[0]!r},)), or an output that ends in {SUFFIXES[only]}"
        )


def keep_inputs(outputs: Iterable[Path], inputs: Mapping[str, str | Path | None]) -> None:
    """ConfigError where a file that is read would be replaced, whatever the two are called."""
    for output in outputs:
        for name, given in inputs.items():
            if given is not None and output.exists() and Path(given).exists() and output.samefile(given):
                raise ConfigError(f"output {output} is the {name} file itself; name another output")


def cleaned_path(path: str | Path | None, others: Iterable[Path]) -> Path | None:
    """The cleaned raster to write, if any. Raises ConfigError where it would be in the way of something."""
    if path is None:
        return None
    found = Path(path)
    if found.suffix.lower() not in (".tif", ".tiff"):
        raise ConfigError(f"--cleaned {found}: expected a name that ends in .tif")
    if not found.parent.is_dir():
        raise ConfigError(f"--cleaned {found}: its folder is not there; make it, or name another one")
    if found.absolute() in [other.absolute() for other in others]:
        raise ConfigError(f"--cleaned {found} is the vector file as well; name another")
    return found
