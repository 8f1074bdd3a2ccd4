"""Which scene a run is about, and where its results go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geounet.io.access import safe_stem
from geounet.io.scene import Scene
from geounet.model.package import Package
from geounet.run.fit import choose_bands, choose_gsd
from geounet.run.options import InferOptions


def results_folder(scene: Scene, options: InferOptions, *, several: bool) -> Path:
    """Where the results of an open scene go."""
    return folder_of(scene.spec.paths[0], options.output, several=several)


def folder_of(path: str, output: Path | None, *, several: bool) -> Path:
    """``-o DIR``, ``DIR/<stem>`` for several scenes, or ``<stem>_geounet`` beside the scene's (first) file.

    Results of a remote scene go to the current folder.
    """
    stem = safe_stem(path)
    if output is not None:
        return output / stem if several else output
    source = Path(path).absolute()
    return (source.parent if source.exists() else Path.cwd()) / f"{stem}_geounet"


def open_for(paths: Sequence[str | Path], options: InferOptions, package: Package) -> Scene:
    """Open a scene with the bands and in the pixels that the model needs.

    Raises SceneError or ModelError, in one line.
    """
    from geounet.io.scene import open_scene

    def opened(bands: Sequence[str] | None, gsd: float | None) -> Scene:
        return open_scene(
            paths,
            bands=bands,
            nodata=options.nodata,
            mask=options.mask,
            stack=options.stack,
            gsd=gsd,
            pixel_size=options.pixel_size,
            allow_remote=options.allow_remote,
        )

    asked = None if isinstance(options.gsd, str) else options.gsd
    scene = opened(options.bands, asked)
    try:
        bands = choose_bands(scene, package.spec, given=options.bands is not None) or options.bands
        gsd = choose_gsd(scene, package.spec) if options.gsd is None else asked
    except BaseException:
        scene.close()
        raise
    if (bands, gsd) == (options.bands, asked):
        return scene
    scene.close()
    return opened(bands, gsd)
