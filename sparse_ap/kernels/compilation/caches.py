"""The folders in which compiled kernels are kept.

numba keeps them in ``NUMBA_CACHE_DIR``, beside the modules, or in the user's cache folder: in the first of
these that is writable. In containers often none is. Here a folder that was filled before is used too, and
kernels that are in no folder are compiled in every process.
"""

from __future__ import annotations

import pickle
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba.core.caching

__all__ = ["Store", "store_for"]

caching: Any = numba.core.caching


def store_for(function: Callable[..., Any]) -> Any:
    """Return the cache of the compiled function."""
    try:
        return _Cache(function)
    except RuntimeError:
        # numba raises this if no folder is usable.
        return _NoCache()


@cache
def _sources_stamp() -> tuple[int, int]:
    """Return a hash of the times and sizes of all modules of the package, and their number."""
    folder = Path(__file__).parents[2]
    stamps = [(str(path), path.stat()) for path in sorted(folder.rglob("*.py"))]
    text = repr([(Path(name).name, stat.st_mtime_ns, stat.st_size) for name, stat in stamps])
    return zlib.crc32(text.encode()), len(stamps)


class Store:
    """Base class of the caches of kernels, by which kernels are told from helpers."""


class _Filled:
    """A read-only folder that was filled with compiled kernels before."""

    _py_file: str
    get_cache_path: Callable[[], str]

    def ensure_cache_path(self) -> None:
        """Raise an OSError if the folder holds no kernel of the function's module."""
        kept = Path(self.get_cache_path()).glob(f"{Path(self._py_file).stem}.*.nbi")
        if next(kept, None) is None:
            raise FileNotFoundError


def _locator(name: str) -> Any:
    """Return one of numba's classes that find folders; numba 0.61 has them with an underscore before."""
    return getattr(caching, name, None) or getattr(caching, f"_{name}")


_Provided: Any = _locator("UserProvidedCacheLocator")
_InTree: Any = _locator("InTreeCacheLocator")
_UserWide: Any = _locator("UserWideCacheLocator")


class _FilledProvided(_Filled, _Provided):  # type: ignore[misc]
    pass


class _FilledInTree(_Filled, _InTree):  # type: ignore[misc]
    pass


class _FilledUserWide(_Filled, _UserWide):  # type: ignore[misc]
    pass


class _Folders(caching.CompileResultCacheImpl):  # type: ignore[misc]
    # The first usable folder is taken: one filled when an image was built comes before an empty home folder.
    _locator_classes = [  # noqa: RUF012
        _Provided,
        _FilledProvided,
        _InTree,
        _FilledInTree,
        _UserWide,
        _FilledUserWide,
    ]


class _Cache(Store, caching.FunctionCache):  # type: ignore[misc]
    """Compiled variants of a function, in a folder."""

    _impl_class = _Folders

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        # numba checks for changes of the kernel's own module only, not of the modules of its helpers.
        stamp = self._impl.locator.get_source_stamp(), _sources_stamp()
        self._cache_file = caching.IndexDataCacheFile(
            cache_path=self._cache_path, filename_base=self._impl.filename_base, source_stamp=stamp
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kept variant for these types; None without one, or with one of other sources."""
        try:
            return super().load_overload(sig, target_context)
        except (AttributeError, ImportError, EOFError, pickle.UnpicklingError):
            # The index names types that no longer exist in the package.
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a variant, if the folder is writable; else warn."""
        if isinstance(self._impl.locator, _Filled):
            _say_that_nothing_is_kept()
        else:
            super().save_overload(sig, data)


class _NoCache(Store, caching.NullCache):  # type: ignore[misc]
    """A cache without a folder, which keeps nothing."""

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Warn that the variant is not kept."""
        _say_that_nothing_is_kept()


@cache
def _say_that_nothing_is_kept() -> None:
    """Warn, once per process, that kernels are compiled in every process."""
    warnings.warn(
        "Kernels are compiled anew, which takes some seconds in every process: they cannot be kept, since "
        "neither this package's folder nor the user's cache folder can be written to. Set NUMBA_CACHE_DIR to "
        "one that can be, or fill one when the image is built.",
        RuntimeWarning,
        stacklevel=2,
    )
