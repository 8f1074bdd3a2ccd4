"""How functions of ours become machine code, and how that is kept on disk.

`numba <https://numba.readthedocs.io>`_ compiles a kernel when it is first called and keeps the result beside the
source, or in ``NUMBA_CACHE_DIR``. Two things in which we differ from its own cache:

**Every file has the name of what it holds.** Numba numbers the files of a kernel, and writes the index before the
file that it speaks of (``IndexDataCacheFile.save`` of 0.68; https://github.com/numba/numba/issues/10128). A process
that is killed between the two, or another one that compiles the same kernel for other types at that moment, leaves
an index that names other code, of another release or for other types, for as long as it lies there. Here the file
comes first, under the digest of its content: the worst that is left is to compile again.

**What only a compiler needs is not loaded.** Before it looks into its cache, numba imports everything that any
kernel might be compiled with (some sixty modules, a fifth of a second; scipy's linear algebra another quarter), and
declares it. Machine code needs none of that, only the runtime that allocates arrays. Where there is nothing in the
cache the compiler asks for all of it by itself (``CompilerBase.__init__``).

Where numba has become another, its own cache is used as it is.
"""

from __future__ import annotations

import glob
import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import caching, environment

Function = Callable[..., Any]


def kernel(function: Function) -> Any:
    """Compile ``function`` when it is called; it runs beside Python's lock."""
    return _compiled(function)


def inlined_kernel(function: Function) -> Any:
    """A kernel that becomes part of those that call it."""
    return _compiled(function, forceinline=True)


def _compiled(function: Function, **options: Any) -> Any:
    if not _KNOWN:
        return njit(cache=True, nogil=True, **options)(function)
    dispatcher = njit(nogil=True, **options)(function)
    dispatcher._cache = KernelCache(function)  # as `Dispatcher.enable_caching` does
    return dispatcher


_KNOWN = (
    all(hasattr(caching.FunctionCache, name) for name in ("_load_overload", "_guard_against_spurious_io_errors"))
    and all(
        hasattr(caching.IndexDataCacheFile, name)
        for name in ("_load_index", "_save_index", "_open_for_write", "_data_name", "_data_path", "_dump")
    )
    and hasattr(environment, "_rebuild_env")
    and hasattr(environment.Environment, "_memo")
)


class KernelCacheFile(caching.IndexDataCacheFile):
    """The index of a kernel, and its files: one for each kind of arguments."""

    def save(self, key: Any, data: Any) -> None:
        """Keep ``data`` for ``key``; of what an older source left, nothing stays."""
        content = self._dump(data)
        name = self._data_name(int.from_bytes(hashlib.sha256(content).digest()[:8]))
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content)
        overloads = self._load_index()
        before = set(overloads.values())
        overloads[key] = name
        self._save_index(overloads)
        if not before:
            self._forget_all_but(name)

    def _forget_all_but(self, name: str) -> None:
        stem = self._index_name.removesuffix(".nbi")
        for path in Path(self._cache_path).glob(f"{glob.escape(stem)}.*.nbc"):
            if path.name != name:
                with suppress(OSError):  # another process did so, or needs it: that one compiles again
                    path.unlink()


class KernelCache(caching.FunctionCache):
    """What is kept of a kernel."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self._cache_file: Any = KernelCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for a signature, or None."""
        from numba.core.runtime import rtsys

        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors(), _own_modules_not_loaded():
            return self._load_overload(sig, target_context)


@contextmanager
def _own_modules_not_loaded() -> Iterator[None]:
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
