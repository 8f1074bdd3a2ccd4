"""numba without scipy: what our kernels do not need is not loaded for them."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def load_without_scipy() -> None:
    """Load numba's array functions, if they are not yet, without `scipy.linalg`, which takes a quarter of a second.

    A hack: while it is imported, ``numba.np.arraymath`` asks whether scipy has a BLAS by importing all of it, for
    the message of ``np.cov`` in kernels (numba 0.68, ``_check_blas``). It gets the answer from us; kernels that
    multiply matrices still import scipy when they are compiled. Where numba has become another, nothing happens.
    """
    from numba.np import linalg

    if "numba.np.arraymath" in sys.modules or not hasattr(linalg, "ensure_blas"):
        return
    ask, linalg.ensure_blas = linalg.ensure_blas, _answer
    try:
        from numba.np import arraymath
    finally:
        linalg.ensure_blas = ask
    arraymath.ensure_blas = ask


def _answer() -> None:
    """Raises ImportError where there is no scipy, as the question that it answers does."""
    if find_spec("scipy") is None:
        raise ImportError("scipy is not installed")
