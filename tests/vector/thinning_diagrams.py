"""Writes geounet/vector/thinning_diagrams.py from the rules: ``python tests/vector/thinning_diagrams.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from geounet.vector.thinning_rules import NAMES, goes

PAGE = Path(__file__).resolve().parents[2] / "geounet" / "vector" / "thinning_diagrams.py"
_INTRODUCTION = '''\
"""The rules of ``thinning_rules`` as decision diagrams, which decide about 64 pixels at once.

Written by ``python tests/vector/thinning_diagrams.py``; a test compares. Each line is a node of a reduced ordered
binary decision diagram (R. E. Bryant, Graph-based algorithms for Boolean function manipulation, IEEE Transactions
on Computers 35 (8), 1986), with the order of neighbours that gives the fewest nodes: a pixel takes the first way
where its neighbour may be set, and the second where it may be clear; where a neighbour is not known, both. No way
asks for a neighbour twice, so a pixel arrives at ``yes`` or at ``no`` exactly if some neighbourhood that it may
have leads there.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

from geounet.kernels import inlined_kernel


@inlined_kernel
def _on(neighbour: Any, if_set: Any, if_clear: Any) -> Any:
    """Where a way may lead; ``neighbour``: words of where it may be set, and of where it may be clear."""
    return (neighbour[0] & if_set) | (neighbour[1] & if_clear)
'''
_HEAD = '''

@inlined_kernel
def {step}_step({arguments}, yes: Any, no: Any) -> Any:
    """Which pixels may go in an {step} step, if ``yes`` is all ones and ``no`` 0; the other way round, may stay."""
'''
_ORDERS = {"odd": (1, 2, 5, 4, 6, 0, 3, 7), "even": (1, 5, 6, 0, 2, 4, 3, 7)}
"""In which neighbours are asked for: of all orders those that give the fewest nodes, 34 each."""

Function = tuple[bool, ...]
"""What is decided, by the neighbours that have not been asked for."""


def render() -> str:
    """The module."""
    return _INTRODUCTION + "".join(_function(step, bit) for bit, step in enumerate(_ORDERS))


def _function(step: str, bit: int) -> str:
    order = _ORDERS[step]
    decided = tuple(
        goes(sum((i >> (7 - k) & 1) << n for k, n in enumerate(order))) >> bit & 1 == 1 for i in range(256)
    )
    head = _HEAD.format(step=step, arguments=", ".join(f"{name}: Any" for name in NAMES))
    return head + "".join(f"    {line}\n" for line in _lines(_nodes(decided, order)))


def _lines(nodes: dict[Function, tuple[int, Function, Function]]) -> Iterator[str]:
    names = {(True,): "yes", (False,): "no"}
    for function, (neighbour, if_set, if_clear) in reversed(nodes.items()):
        names[function] = f"a{len(names) - 1}"
        right = f"_on({NAMES[neighbour]}, {names[if_set]}, {names[if_clear]})"
        yield f"{names[function]} = {right}" if len(names) < len(nodes) + 2 else f"return {right}"


def _nodes(decided: Function, order: tuple[int, ...]) -> dict[Function, tuple[int, Function, Function]]:
    """From the first on: the neighbour that is asked for, and what is left if it is set, and if it is clear."""
    nodes: dict[Function, tuple[int, Function, Function]] = {}
    level = [decided]
    for neighbour in order:
        halves = [(f, f[: len(f) // 2], f[len(f) // 2 :]) for f in level]
        nodes |= {f: (neighbour, _reduced(set_), _reduced(clear)) for f, clear, set_ in halves if clear != set_}
        level = list(dict.fromkeys(half for _, *both in halves for half in both))
    return nodes


def _reduced(function: Function) -> Function:
    """Without the next neighbours as long as nothing hangs on them."""
    half = len(function) // 2
    return _reduced(function[:half]) if half and function[:half] == function[half:] else function


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
