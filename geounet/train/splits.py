"""Which ground is learned from and which is validated on, so that none is both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from geounet.errors import ConfigError
from geounet.train.apart import check_apart, overlap
from geounet.train.config import BlocksConfig, TrainConfig
from geounet.train.planes import SidedPlane
from geounet.train.scenes import TrainScene
from geounet.train.squares import BlockGrid, HeldSide, Key, LearnedSide


@dataclass(frozen=True, kw_only=True)
class Split:
    """The scenes of a training by what they are for."""

    learned: tuple[TrainScene, ...]
    held: tuple[TrainScene, ...]
    """Validated on."""
    aside: tuple[TrainScene, ...] = ()
    """Held out of both."""


def split(scenes: Sequence[TrainScene], config: TrainConfig) -> Split:
    """Divide the scenes as the file says.

    Raises ConfigError where a name is not there, nothing is left to learn from, pixel types differ, or scenes on
    two sides show the same ground.
    """
    data = config.data
    _check_names("validate_groups", data.validate_groups, {s.group for s in scenes}, "groups")
    _check_names("holdout_groups", data.holdout_groups, {s.group for s in scenes}, "groups")
    names = {s.name for s in scenes} | {s.origin for s in scenes if s.origin}
    _check_names("validate_scenes", data.validate_scenes, names, "names")
    dtypes = {str(scene.image.dtype): scene.origin or scene.name for scene in reversed(scenes)}
    if len(dtypes) > 1:
        told = ", ".join(f"{dtype} ({name})" for dtype, name in sorted(dtypes.items()))
        raise ConfigError(f"the scenes have pixel types {told}; expected one")
    named = set(data.validate_scenes)
    aside = [s for s in scenes if s.group in data.holdout_groups]
    rest = [s for s in scenes if s.group not in data.holdout_groups]
    held = [s for s in rest if s.group in data.validate_groups or {s.name, s.origin} & named]
    learned = [s for s in rest if s not in held]
    if not learned:
        raise ConfigError("every scene is validated on or held out; expected at least one to learn from")
    if data.validate_blocks is not None:
        check_apart(learned, aside, allow=data.allow_overlap)
        return _by_blocks(learned, aside, data.validate_blocks, config)
    check_apart(learned, held, allow=data.allow_overlap)
    check_apart([*learned, *held], aside, allow=data.allow_overlap)
    return Split(learned=tuple(learned), held=tuple(held), aside=tuple(aside))


def _check_names(what: str, given: Sequence[str], known: set[str], kind: str) -> None:
    strange = sorted(set(given) - known)
    if strange:
        listed = sorted(known)
        more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
        raise ConfigError(
            f"data.{what} holds {strange[0]!r}; expected {kind} of the scenes: {', '.join(listed[:12])}{more}"
        )


def _by_blocks(
    scenes: Sequence[TrainScene], aside: Sequence[TrainScene], blocks: BlocksConfig, config: TrainConfig
) -> Split:
    """Every scene on both sides, each with its own squares; drawn scenes are only learned from."""
    real = [scene for scene in scenes if not scene.synthetic]
    grids = {scene.name: BlockGrid.of(scene, blocks) for scene in real}
    if not config.data.allow_overlap:
        _check_common_grids(real, grids)
    keys = sorted(
        {key for grid in grids.values() for key in grid.squares()}, key=lambda key: _hash(key, config.seed)
    )
    if len(keys) < 2:
        raise ConfigError(
            f"data.validate_blocks: squares of {blocks.side} pixels leave {len(keys)} in all scenes; expected at "
            "least 2: make the side smaller"
        )
    chosen = frozenset(keys[: min(len(keys) - 1, max(1, round(blocks.share * len(keys))))])
    learned = [
        s if s.synthetic else _sided(s, LearnedSide(grid=grids[s.name], chosen=chosen, buffer=blocks.buffer))
        for s in scenes
    ]
    held = [
        _sided(s, HeldSide(grid=grids[s.name], chosen=chosen))
        for s in real
        if chosen & set(grids[s.name].squares())
    ]
    return Split(learned=tuple(learned), held=tuple(held), aside=tuple(aside))


def _sided(scene: TrainScene, rule: LearnedSide | HeldSide) -> TrainScene:
    return replace(scene, labels=SidedPlane(scene.labels, rule))


def _hash(key: Key, seed: int) -> str:
    return hashlib.sha256(repr((seed, key)).encode()).hexdigest()


def _check_common_grids(scenes: Sequence[TrainScene], grids: dict[str, BlockGrid]) -> None:
    """Scenes that overlap are cut by the same squares, or the split would leak."""
    for i, left in enumerate(scenes):
        for right in scenes[:i]:
            if left.geobox is None or right.geobox is None or grids[left.name].name == grids[right.name].name:
                continue
            if overlap(left.geobox, right.geobox):
                raise ConfigError(
                    f"data.validate_blocks: scenes {right.name!r} and {left.name!r} overlap on different grids, so "
                    "that no squares hold the same ground out of both; validate by groups instead"
                )
