"""How kernels are compiled, and where what was compiled is kept.

numba keeps it in ``NUMBA_CACHE_DIR``, else beside the modules, else in the user's cache folder: the first
that can be written to. In a container often none can. Here one that has been filled before will do too, and
what is not there is compiled anew in every process.
"""

from __future__ import annotations

import pickle
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, update_wrapper
from pathlib import Path
from typing import Any

import numba
import numba.core.caching
import numba.core.event
import numpy as np
from numpy.typing import NDArray

__all__ = ["Helper", "Kernel", "helper", "kernel", "watched_by"]

_njit: Any = numba.njit
caching: Any = numba.core.caching
event: Any = numba.core.event
# What C code would need to call a kernel takes time to compile, and no C code calls one. No kernel makes an
# array, so that no references are counted.
_OPTIONS: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True, "_nrt": False}


class Kernel:
    """A compiled function that is called from Python.

    To numba a read-only array is another type, for which it would compile another variant: arrays that a user
    has mapped into memory, those that dask has received, one number seen as an array. A kernel gets
    them as if they could be written to. It writes only to what its caller has made.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.dispatcher = _njit(**_OPTIONS)(function)
        self.dispatcher._cache = _store_for(function)

    def __call__(self, *arguments: Any) -> Any:
        """Call it; it is compiled before the first call for these types."""
        return self.dispatcher(*map(_writable, arguments))


class Helper:
    """A function that kernels call, compiled as a part of each; in Python it is the function itself.

    Without what Python needs to call compiled code it compiles faster.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._dispatcher = _njit(no_cpython_wrapper=True, **_OPTIONS)(function)
        # By this name numba asks what an object is to compiled code.
        self._numba_type_ = self._dispatcher._numba_type_

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self._function(*arguments)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compile a function that is called from Python."""
    return Kernel(function)


def helper(function: Callable[..., Any]) -> Helper:
    """Compile a function that kernels call."""
    return Helper(function)


class _Watch(event.Listener):  # type: ignore[misc]
    """Tells when kernels begin and end to be compiled; numba compiles one after the other."""

    def __init__(self, begin: Callable[[], Callable[[], object]]) -> None:
        self._begin = begin
        self._ends: list[Callable[[], object]] = []

    def on_start(self, event: Any) -> None:
        """Begin, if it is a kernel: what those call is compiled meanwhile."""
        if isinstance(event.data["dispatcher"]._cache, _Store):
            self._ends.append(self._begin())

    def on_end(self, event: Any) -> None:
        """End what has begun."""
        if isinstance(event.data["dispatcher"]._cache, _Store):
            self._ends.pop()()


@contextmanager
def watched_by(begin: Callable[[], Callable[[], object]]) -> Iterator[None]:
    """Call a function whenever a kernel is compiled, and what it returned when that is done."""
    with event.install_listener("numba:compile", _Watch(begin)):
        yield


def _writable(argument: Any) -> Any:
    """Return an argument whose arrays numba takes for ones that can be written to."""
    if isinstance(argument, np.ndarray):
        return argument if argument.flags.writeable else _Alias(argument).array
    if isinstance(argument, tuple):
        return type(argument)(*map(_writable, argument))
    return argument


class _Alias:
    """Read-only memory seen as memory that can be written to; numbers not side by side are copied."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = np.ascontiguousarray(array)
        address, _ = self._array.__array_interface__["data"]
        self.__array_interface__ = self._array.__array_interface__ | {"data": (address, False)}

    @property
    def array(self) -> NDArray[Any]:
        """The array."""
        return np.asarray(self)


def _store_for(function: Callable[..., Any]) -> Any:
    """Return where the compiled function is kept."""
    try:
        return _Cache(function)
    except RuntimeError:
        # numba: no folder will do.
        return _NoCache()


@cache
def _sources_stamp() -> tuple[int, int]:
    """Return a hash of the times and sizes of the package's modules, and their number."""
    folder = Path(__file__).parent.parent
    stamps = [(str(path), path.stat()) for path in sorted(folder.rglob("*.py"))]
    text = repr([(Path(name).name, stat.st_mtime_ns, stat.st_size) for name, stat in stamps])
    return zlib.crc32(text.encode()), len(stamps)


class _Store:
    """Where a kernel is kept."""


class _Filled:
    """A folder that cannot be written to, but has been filled."""

    _py_file: str
    get_cache_path: Callable[[], str]

    def ensure_cache_path(self) -> None:
        """Raise an OSError where nothing was compiled of the function's module."""
        kept = Path(self.get_cache_path()).glob(f"{Path(self._py_file).stem}.*.nbi")
        if next(kept, None) is None:
            raise FileNotFoundError


class _FilledProvided(_Filled, caching.UserProvidedCacheLocator):  # type: ignore[misc]
    pass


class _FilledInTree(_Filled, caching.InTreeCacheLocator):  # type: ignore[misc]
    pass


class _FilledUserWide(_Filled, caching.UserWideCacheLocator):  # type: ignore[misc]
    pass


class _Folders(caching.CompileResultCacheImpl):  # type: ignore[misc]
    # The first that will do. What was filled when an image was built comes before an empty home folder.
    _locator_classes = [  # noqa: RUF012
        caching.UserProvidedCacheLocator,
        _FilledProvided,
        caching.InTreeCacheLocator,
        _FilledInTree,
        caching.UserWideCacheLocator,
        _FilledUserWide,
    ]


class _Cache(_Store, caching.FunctionCache):  # type: ignore[misc]
    """Compiled variants of a function, in a folder."""

    _impl_class = _Folders

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        # numba asks only whether the kernel's own module has changed, and not those of the helpers it calls.
        stamp = self._impl.locator.get_source_stamp(), _sources_stamp()
        self._cache_file = caching.IndexDataCacheFile(
            cache_path=self._cache_path, filename_base=self._impl.filename_base, source_stamp=stamp
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return a variant that was kept; None where there is none, or only one of other sources."""
        try:
            return super().load_overload(sig, target_context)
        except (AttributeError, ImportError, EOFError, pickle.UnpicklingError):
            # The index names types that the package has no more.
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a variant."""
        if isinstance(self._impl.locator, _Filled):
            _say_that_nothing_is_kept()
        else:
            super().save_overload(sig, data)


class _NoCache(_Store, caching.NullCache):  # type: ignore[misc]
    """No folder at all."""

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Keep nothing."""
        _say_that_nothing_is_kept()


@cache
def _say_that_nothing_is_kept() -> None:
    """Warn, once in a process."""
    warnings.warn(
        "Kernels are compiled anew, which takes some seconds in every process: they cannot be kept, since "
        "neither this package's folder nor the user's cache folder can be written to. Set NUMBA_CACHE_DIR to "
        "one that can be, or fill one when the image is built.",
        RuntimeWarning,
        stacklevel=2,
    )
