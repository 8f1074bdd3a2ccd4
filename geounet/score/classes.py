"""Which class of the prediction is which class of the truth: by name where both have names, else by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from geounet.errors import ConfigError, RequestError

OTHER = "other"
MOST_CLASSES = 254
"""Class indices are bytes, and the last value is for pixels that do not count."""


@dataclass(frozen=True, kw_only=True)
class Legend:
    """The values of one raster."""

    values: tuple[int, ...]
    """Those that occur, ascending."""
    names: Mapping[int, str]
    """Those that the file names, occurring or not; may be empty."""


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Classes of both rasters on one list."""

    names: tuple[str, ...]
    """By class index."""
    scored: tuple[bool, ...]
    """Whether a class is part of the means; what was not asked for is one class, ``other``, that is not."""
    truth: Mapping[int, int]
    """Class index of every value that occurs in the truth."""
    predicted: Mapping[int, int]
    """Class index of every value that occurs in the prediction."""
    warnings: tuple[str, ...] = ()


def match_classes(truth: Legend, predicted: Legend, wanted: Sequence[str] = ()) -> Matching:
    """Match classes by name where both files name one in common, else by number.

    ``wanted``: names or numbers of the classes that count, or ``NUMBER=NAME`` for names that hold in both.

    Raises ConfigError for a class that is not there, RequestError where no class is common to both.
    """
    wanted, given = _split(wanted)
    if given:
        truth, predicted = (Legend(values=x.values, names={**x.names, **given}) for x in (truth, predicted))
    by_name = not given and _share_names(truth, predicted)
    _check_common(truth, predicted, by_name)
    occurring = {_key(legend, v, by_name): None for legend in (truth, predicted) for v in legend.values}
    labels = {_key(legend, v, by_name): _name(legend, v) for legend in (predicted, truth) for v in _all(legend)}
    if not by_name:
        labels |= {str(v): predicted.names[v] for v in predicted.names if v not in truth.names}
    keys = _selected(list(occurring), labels, truth, wanted, by_name)
    others = [key for key in occurring if key not in keys]
    place = {key: i for i, key in enumerate(keys)} | dict.fromkeys(others, len(keys))
    if len(place) > MOST_CLASSES:
        raise RequestError(f"{len(place)} classes; expected at most {MOST_CLASSES}: are these rasters of classes?")
    return Matching(
        names=(*(labels[key] for key in keys), *([OTHER] if others else [])),
        scored=(*(True for _ in keys), *([False] if others else [])),
        truth={v: place[_key(truth, v, by_name)] for v in truth.values},
        predicted={v: place[_key(predicted, v, by_name)] for v in predicted.values},
        warnings=(
            *_differences(truth, predicted, by_name),
            *one_sided(
                [labels[k] for k in keys if k not in _keys(truth, by_name)],
                [labels[k] for k in keys if k not in _keys(predicted, by_name)],
            ),
        ),
    )


def _share_names(truth: Legend, predicted: Legend) -> bool:
    """Whether both files name their classes, and one of them alike."""
    return bool(truth.names and predicted.names and _keys(truth, True) & _keys(predicted, True))


def _check_common(truth: Legend, predicted: Legend, by_name: bool) -> None:
    """RequestError where no class is in both."""
    if not _keys(truth, by_name) & _keys(predicted, by_name):
        raise RequestError(
            f"no class is in both: the truth has {_listed(truth)}, the prediction {_listed(predicted)}; "
            "give --classes NUMBER=NAME,… if the numbers mean the same"
        )


def match_mask(truth: Legend, predicted: Legend, wanted: Sequence[str] = ()) -> Matching:
    """Two classes: what is marked (1) and what is not (0).

    Marked is what ``wanted`` names, where a raster has it; else every value but 0.
    """
    marked = [_marked(legend, wanted, what) for legend, what in ((truth, "truth"), (predicted, "prediction"))]
    named = [
        legend.names[v]
        for legend, m in zip((truth, predicted), marked, strict=True)
        for v in m
        if v in legend.names
    ]
    name = wanted[0] if len(wanted) == 1 and not wanted[0].isdigit() else (named[0] if named else "marked")
    return Matching(
        names=(f"not {name}", name),
        scored=(False, True),
        truth={v: int(v in marked[0]) for v in truth.values},
        predicted={v: int(v in marked[1]) for v in predicted.values},
    )


def one_sided(not_true: Sequence[str], not_predicted: Sequence[str]) -> list[str]:
    """A line for classes that only one of the two knows: they score 0 and pull the means down."""
    told = [
        f"the {what} has no {', '.join(names)}"
        for what, names in (("truth", not_true), ("prediction", not_predicted))
        if names
    ]
    return [f"{'; '.join(told)}: these score 0; choose what counts with --classes"] if told else []


def looks_like_mask(*legends: Legend) -> bool:
    """Whether rasters hold 0 and 1, or 0 and 255, and nothing else."""
    return all(set(x.values) <= {0, 1} or set(x.values) == {0, 255} for x in legends)


def _marked(legend: Legend, wanted: Sequence[str], what: str) -> set[int]:
    asked = {w.strip().casefold() for w in wanted}
    found = {v for v in _all(legend) if str(v) in asked or legend.names.get(v, "").casefold() in asked}
    if found or not asked:
        return found or {v for v in legend.values if v != 0}
    if looks_like_mask(legend):
        return {v for v in legend.values if v != 0}
    raise ConfigError(f"--classes {','.join(wanted)}: the {what} has none of them; it has {_listed(legend)}")


def _split(wanted: Sequence[str]) -> tuple[list[str], dict[int, str]]:
    """Selections, and the names that were given to numbers (these are selections too)."""
    given: dict[int, str] = {}
    kept = []
    for entry in (w.strip() for w in wanted):
        number, sep, name = entry.partition("=")
        if sep and not (number.strip().lstrip("-").isdigit() and name.strip()):
            raise ConfigError(f"--classes {entry!r}: expected NAME, NUMBER or NUMBER=NAME")
        if sep:
            given[int(number)] = name.strip()
        kept.append(number.strip() if sep else entry)
    return kept, given


def _all(legend: Legend) -> list[int]:
    return sorted({*legend.values, *legend.names})


def _name(legend: Legend, value: int) -> str:
    return legend.names.get(value, str(value))


def _key(legend: Legend, value: int, by_name: bool) -> str:
    return _name(legend, value).casefold() if by_name else str(value)


def _keys(legend: Legend, by_name: bool) -> set[str]:
    return {_key(legend, v, by_name) for v in _all(legend)}


def _selected(
    keys: list[str], labels: Mapping[str, str], truth: Legend, wanted: Sequence[str], by_name: bool
) -> list[str]:
    """The keys that count, in the order of the truth's values, then the prediction's."""
    if not wanted:
        return keys
    numbers = {str(v): _key(truth, v, by_name) for v in _all(truth)}
    by_label = {label.casefold(): key for key, label in labels.items()}
    chosen: list[str] = []
    for entry in wanted:
        key = by_label.get(entry.casefold(), numbers.get(entry))
        if key is None:
            raise ConfigError(f"--classes {entry}: no such class; expected some of {', '.join(labels.values())}")
        chosen.append(key)
    return list(dict.fromkeys(chosen))


def _listed(legend: Legend) -> str:
    return (
        ", ".join(f"{v} {legend.names[v]}" if v in legend.names else str(v) for v in _all(legend)[:12]) or "nothing"
    )


def _differences(truth: Legend, predicted: Legend, by_name: bool) -> Iterable[str]:
    """What to say where numbers and names do not agree."""
    if by_name:
        numbers = {name.casefold(): v for v, name in predicted.names.items()}
        moved = [
            f"{name} is {numbers[name.casefold()]} in the prediction, {v} in the truth"
            for v, name in sorted(truth.names.items())
            if numbers.get(name.casefold(), v) != v
        ]
        if moved:
            yield f"classes are matched by name; their numbers differ: {'; '.join(moved)}"
        return
    told = [
        f"{v} is {predicted.names[v]} in the prediction, {name} in the truth"
        for v, name in sorted(truth.names.items())
        if predicted.names.get(v, name).casefold() != name.casefold()
    ]
    if told:
        yield f"classes are matched by number; their names differ: {'; '.join(told)}"
