"""One list of classes for several scenes, whose rasters may number the same classes differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from geounet.errors import RequestError
from geounet.score.classes import Legend, Matching, looks_like_mask, match_classes, match_mask
from geounet.score.settings import Settings


def match_scenes(legends: Sequence[tuple[Legend, Legend]], settings: Settings) -> tuple[list[Matching], bool]:
    """A matching for every scene's truth and prediction, all on one list of classes, and whether these are masks.

    Raises RequestError where the scenes' classes have no names in common, and as `match_classes` does.
    """
    mask = settings.kind == "mask" or (
        settings.kind == "auto"
        and not settings.classes
        and all(looks_like_mask(truth, predicted) for truth, predicted in legends)
    )
    match = match_mask if mask else match_classes
    if len(legends) == 1 or mask:
        return [match(truth, predicted, settings.classes) for truth, predicted in legends], mask
    truths, predictions = zip(*legends, strict=True)
    (truth, true_values), (predicted, predicted_values) = common_legend(truths), common_legend(predictions)
    whole = match(truth, predicted, settings.classes)
    return [
        replace(
            whole,
            truth={value: whole.truth[true_values[n][value]] for value in t.values},
            predicted={value: whole.predicted[predicted_values[n][value]] for value in p.values},
        )
        for n, (t, p) in enumerate(legends)
    ], mask


def common_legend(legends: Sequence[Legend]) -> tuple[Legend, list[dict[int, int]]]:
    """One legend for several rasters, and for each of them the common value of every value that occurs in it.

    By name where all have names (their numbers may differ), by number where none has.
    Raises RequestError where some have names and some do not.
    """
    named = [bool(legend.names) for legend in legends]
    if any(named) != all(named):
        raise RequestError("some of the scenes' rasters name their classes and some do not; name them all, or none")
    if not any(named):
        values = sorted({value for legend in legends for value in legend.values})
        return Legend(values=tuple(values), names={}), [{v: v for v in legend.values} for legend in legends]
    # numbers are kept where they mean one name only
    places: dict[str, int] = {}
    names: dict[int, str] = {}
    for legend in legends:
        for value in sorted({*legend.values, *legend.names}):
            name = legend.names.get(value, str(value))
            if name.casefold() not in places:
                free = value if value not in names else max(names) + 1
                places[name.casefold()], names[free] = free, name
    tables = [{v: places[legend.names.get(v, str(v)).casefold()] for v in legend.values} for legend in legends]
    occurring = sorted({place for table in tables for place in table.values()})
    return Legend(values=tuple(occurring), names=names), tables
