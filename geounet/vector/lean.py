"""Kernels out of numba's cache, without what only a compiler needs."""

from __future__ import annotations

from typing import Any


def load_without_compiler() -> None:
    """From now on, machine code of our kernels comes out of numba's cache without the knowledge of its compiler.

    A hack: before it looks into its cache, numba imports everything that any kernel might be compiled with (some
    sixty modules, a fifth of a second; scipy's linear algebra another quarter), and declares it. Machine code needs
    none of that, only the runtime that allocates arrays. Where there is nothing in the cache the compiler asks for
    all of it by itself (``CompilerBase.__init__``). Kernels of others are loaded as ever, and so are ours where
    numba has become another (``numba/core/caching.py`` of 0.68).
    """
    from numba.core.caching import FunctionCache
    from numba.core.runtime import rtsys

    as_ever = FunctionCache.load_overload
    known = all(hasattr(FunctionCache, name) for name in ("_load_overload", "_guard_against_spurious_io_errors"))
    if not known or getattr(as_ever, "is_lean", False):
        return

    def load_overload(self: Any, sig: Any, target_context: Any) -> Any:
        owner = getattr(getattr(self, "_py_func", None), "__module__", "")
        if not owner.startswith("geounet."):
            return as_ever(self, sig, target_context)
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    load_overload.is_lean = True  # type: ignore[attr-defined]
    FunctionCache.load_overload = load_overload
