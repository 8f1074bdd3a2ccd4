"""Kernels out of numba's cache, without what only a compiler needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def load_without_compiler() -> None:
    """From now on, machine code of our kernels comes out of numba's cache without the knowledge of its compiler.

    A hack: before it looks into its cache, numba imports everything that any kernel might be compiled with (some
    sixty modules, a fifth of a second; scipy's linear algebra another quarter), and declares it. Machine code needs
    none of that, only the runtime that allocates arrays. Where there is nothing in the cache the compiler asks for
    all of it by itself (``CompilerBase.__init__``). Kernels of others are loaded as ever, and so are ours where
    numba has become another (``numba/core/caching.py`` and ``environment.py`` of 0.68).
    """
    from numba.core import environment
    from numba.core.caching import FunctionCache
    from numba.core.runtime import rtsys

    as_ever = FunctionCache.load_overload
    known = all(hasattr(FunctionCache, name) for name in ("_load_overload", "_guard_against_spurious_io_errors"))
    known = known and hasattr(environment, "_rebuild_env") and hasattr(environment.Environment, "_memo")
    if not known or getattr(as_ever, "is_lean", False):
        return

    def load_overload(self: Any, sig: Any, target_context: Any) -> Any:
        owner = getattr(getattr(self, "_py_func", None), "__module__", "")
        if not owner.startswith("geounet."):
            return as_ever(self, sig, target_context)
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors(), _own_modules_not_loaded(environment):
            return self._load_overload(sig, target_context)

    load_overload.is_lean = True  # type: ignore[attr-defined]
    FunctionCache.load_overload = load_overload


@contextmanager
def _own_modules_not_loaded(environment: Any) -> Iterator[None]:
    """Meanwhile what a kernel has of numba's own functions comes without the modules in which those are written.

    The environment of a function holds its constants, and the names of its module, which machine code never looks
    at. Numba loads kernels under its lock, so no other thread meets this.
    """
    as_ever = environment._rebuild_env

    def rebuild(module: str, constants: Any, name: str) -> Any:
        found = environment.lookup_environment(name)
        if found is not None or not module.startswith("numba.") or module in sys.modules:
            return as_ever(module, constants, name)
        made = environment.Environment({"__name__": module})
        made.consts[:] = constants
        made.env_name = name
        environment.Environment._memo[name] = made
        return made

    environment._rebuild_env = rebuild
    try:
        yield
    finally:
        environment._rebuild_env = as_ever
