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


@inlined_kernel
def odd_step(nw: Any, n: Any, ne: Any, e: Any, se: Any, s: Any, sw: Any, w: Any, yes: Any, no: Any) -> Any:
    """Which pixels may go in an odd step, if ``yes`` is all ones and ``no`` 0; the other way round, may stay."""
    a1 = _on(w, no, yes)
    a2 = _on(w, yes, no)
    a3 = _on(e, yes, no)
    a4 = _on(e, a1, no)
    a5 = _on(e, a1, yes)
    a6 = _on(e, a1, a2)
    a7 = _on(e, no, a2)
    a8 = _on(nw, a3, a4)
    a9 = _on(nw, a2, a7)
    a10 = _on(nw, yes, a5)
    a11 = _on(nw, a5, a6)
    a12 = _on(nw, no, a4)
    a13 = _on(nw, a7, a5)
    a14 = _on(nw, a7, a6)
    a15 = _on(nw, a7, no)
    a16 = _on(sw, no, a8)
    a17 = _on(sw, a9, a10)
    a18 = _on(sw, a7, a11)
    a19 = _on(sw, no, a12)
    a20 = _on(sw, a13, no)
    a21 = _on(sw, a15, a14)
    a22 = _on(sw, a15, no)
    a23 = _on(se, a16, a17)
    a24 = _on(se, no, a18)
    a25 = _on(se, a12, no)
    a26 = _on(se, a20, a21)
    a27 = _on(se, no, a22)
    a28 = _on(s, a27, a23)
    a29 = _on(s, a22, a24)
    a30 = _on(s, a25, a19)
    a31 = _on(s, a26, a27)
    a32 = _on(ne, a28, a29)
    a33 = _on(ne, a30, a31)
    return _on(n, a32, a33)


@inlined_kernel
def even_step(nw: Any, n: Any, ne: Any, e: Any, se: Any, s: Any, sw: Any, w: Any, yes: Any, no: Any) -> Any:
    """Which pixels may go in an even step, if ``yes`` is all ones and ``no`` 0; the other way round, may stay."""
    a1 = _on(w, yes, no)
    a2 = _on(w, no, yes)
    a3 = _on(e, yes, no)
    a4 = _on(e, a2, yes)
    a5 = _on(e, a2, a1)
    a6 = _on(e, no, a1)
    a7 = _on(e, a2, no)
    a8 = _on(se, a7, a4)
    a9 = _on(se, a7, a5)
    a10 = _on(se, a1, a6)
    a11 = _on(se, a3, a7)
    a12 = _on(se, yes, a4)
    a13 = _on(se, no, a6)
    a14 = _on(se, a7, no)
    a15 = _on(ne, a14, no)
    a16 = _on(ne, a8, no)
    a17 = _on(ne, a14, a9)
    a18 = _on(ne, no, a10)
    a19 = _on(ne, a11, a12)
    a20 = _on(ne, a14, a5)
    a21 = _on(ne, no, a13)
    a22 = _on(nw, no, a15)
    a23 = _on(nw, a13, no)
    a24 = _on(nw, a16, a17)
    a25 = _on(nw, a18, a19)
    a26 = _on(nw, no, a20)
    a27 = _on(nw, no, a14)
    a28 = _on(sw, a22, a15)
    a29 = _on(sw, a23, a24)
    a30 = _on(sw, a25, a26)
    a31 = _on(sw, a21, a27)
    a32 = _on(s, a28, a29)
    a33 = _on(s, a30, a31)
    return _on(n, a32, a33)
