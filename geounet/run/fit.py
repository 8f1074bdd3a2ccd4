"""Does this model fit this scene? Bands, exposure, value range and resolution, before the first tile."""

from __future__ import annotations

from collections.abc import Sequence

from geounet.errors import ModelError
from geounet.grid.lattice import Lattice
from geounet.grid.spread import spread_windows
from geounet.io.scene import MAX_RATIO, Scene
from geounet.model.spec import ModelSpec
from geounet.model.stretch import Limits, find_limits

_COARSER, _FINER = 1.25, 0.45
"""Times the model's pixel: scenes up to there are shown to the network as they are."""
_TOO_COARSE = 4.0
"""Times the model's pixel: from there on what the model looks for cannot be seen, at sixteen times the tiles."""


def choose_bands(scene: Scene, spec: ModelSpec, *, given: bool) -> tuple[str, ...] | None:
    """Bands of the scene that the model needs, by name; None where the scene's own bands are right as they are.

    ``given`` says that the user chose them already. Raises ModelError where the number cannot fit, naming what
    the scene has and what the model needs.
    """
    needed = tuple(band.name for band in spec.bands)
    if scene.count == len(needed) and (given or _may_be(scene.band_names, needed)):
        return None
    if not given and set(needed) <= set(scene.all_band_names):
        return needed
    if given:
        raise ModelError(
            f"--bands chooses {scene.count} ({', '.join(scene.band_names)}), model {spec.name!r} needs "
            f"{len(needed)} ({', '.join(needed)}); name {len(needed)} bands in this order"
        )
    raise ModelError(
        f"{scene.name} has {scene.count} band{'s' * (scene.count != 1)} ({', '.join(scene.band_names)}), model "
        f"{spec.name!r} needs {len(needed)} ({', '.join(needed)}); choose them with --bands, for example "
        f"--bands {','.join(str(min(n + 1, scene.count)) for n in range(len(needed)))}"
    )


def _may_be(found: Sequence[str], needed: Sequence[str]) -> bool:
    """Whether bands in this order can be what is needed: equal names, or names that say nothing."""
    return all(name == wanted or name not in needed for name, wanted in zip(found, needed, strict=True))


def choose_gsd(scene: Scene, spec: ModelSpec) -> float | None:
    """Metres at which the network should see a scene whose user left it open; None: its own pixels are right.

    A network knows things by their size in pixels, so a scene of other pixels than it learned on is resampled to
    those it learned on: what this gives is measured in ``docs/decisions/0021``. Not where the scene is so coarse
    that there is nothing to find.
    """
    own = scene.native_gsd
    if spec.gsd is None or own is None:
        return None
    ratio = own / spec.gsd
    return spec.gsd if _COARSER < ratio <= _TOO_COARSE or 1 / MAX_RATIO < ratio < _FINER else None


def scene_limits(scene: Scene, spec: ModelSpec) -> Limits | None:
    """What a scene's stretch goes by, where the model asks for one: of a sample that its size alone decides.

    Full resolution, so that overviews say nothing; no area of interest, so that it changes nothing.
    """
    if spec.stretch is None:
        return None
    pieces = map(scene.read, spread_windows(*scene.geobox.shape))
    return find_limits((piece.data, piece.valid) for piece in pieces)


def fit_warnings(scene: Scene, spec: ModelSpec) -> list[str]:
    """What the user should know before trusting the result."""
    warnings = []
    if scene.dtype != spec.dtype and spec.stretch is None:
        warnings.append(
            f"the scene's pixels are {scene.dtype}, model {spec.name!r} was made for {spec.dtype}: unless the "
            "values have the same range, rescale the scene first (gdal_translate -ot Byte -scale)"
        )
    needed = tuple(band.name for band in spec.bands)
    unnamed = [name for name, wanted in zip(scene.band_names, needed, strict=True) if name != wanted]
    if unnamed:
        warnings.append(f"taking bands {', '.join(scene.band_names)} for {', '.join(needed)}; choose with --bands")
    warnings += _resolution_warnings(scene, spec)
    return warnings


def overlap_warnings(lattice: Lattice, spec: ModelSpec) -> list[str]:
    """A line where tiles share less than the network needs to see; none where there is one tile alone."""
    overlap, needed = lattice.rows.overlap, spec.receptive_field
    if needed is None or overlap >= needed or lattice.count == 1:
        return []
    return [
        f"tiles overlap by {overlap} px, but model {spec.name!r} sees {needed} x {needed} px to decide one: near "
        f"the borders of tiles it sees too little; give --overlap {needed} or more"
    ]


def _resolution_warnings(scene: Scene, spec: ModelSpec) -> list[str]:
    own, seen = scene.native_gsd, scene.gsd
    if spec.gsd is None:
        return []
    if own is None or seen is None:
        return [
            f"nobody says how large the scene's pixels are, and model {spec.name!r} was made for {spec.gsd:.3g} m; "
            "--pixel-size METRES says it, and pixels of another size are resampled"
        ]
    lines = []
    if scene.geobox != scene.native_geobox:
        lines.append(
            f"the scene has {own:.3g} m per pixel, the network sees it at {seen:.3g} m: {(own / seen) ** 2:.2g} "
            "times the tiles; --gsd native shows it as it is"
        )
    low, high = spec.gsd_range or (spec.gsd / 1.5, spec.gsd * 1.5)
    if own > _TOO_COARSE * spec.gsd:
        lines.append(
            f"the scene has {own:.3g} m per pixel, model {spec.name!r} was made for {spec.gsd:.3g} m: what it "
            "looks for cannot be seen in such pixels, and resampling does not help: expect a poor map"
        )
    elif not low <= seen <= high:
        lines.append(
            f"the network sees {seen:.3g} m per pixel, model {spec.name!r} was made for {spec.gsd:.3g} m (known to "
            f"work from {low:.3g} to {high:.3g}); --gsd {spec.gsd:.3g} resamples on the fly"
        )
    return lines
