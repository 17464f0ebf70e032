"""Compilation of kernels, and the folders in which compiled kernels are kept.

numba keeps them in ``NUMBA_CACHE_DIR``, beside the modules, or in the user's cache folder: in the first of
these that is writable. In containers often none is. Here a folder that was filled before is used too, and
kernels that are in no folder are compiled in every process.
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
import numba.extending
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

__all__ = ["Helper", "Kernel", "helper", "kernel", "prefetch", "watched_by"]

_njit: Any = numba.njit
_intrinsic: Any = numba.extending.intrinsic
caching: Any = numba.core.caching
event: Any = numba.core.event
# No C code calls a kernel, so the wrapper for it need not be compiled. No kernel allocates an array, so no
# references need to be counted.
_OPTIONS: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True, "_nrt": False}


_INT: Any = ir.IntType(32)
_BYTES: Any = ir.IntType(8).as_pointer()
_PREFETCH: Any = ir.FunctionType(ir.VoidType(), [_BYTES, _INT, _INT, _INT])


class Kernel:
    """A compiled function that is called from Python.

    For numba a read-only array is another type, which needs another variant of the kernel. Arrays mapped into
    memory, received from dask, or broadcast from one number are read-only. A kernel gets them as writable
    arrays; it writes only to arrays that its caller has allocated.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.dispatcher = _njit(**_OPTIONS)(function)
        self.dispatcher._cache = _store_for(function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel; the first call with these types compiles it."""
        return self.dispatcher(*map(_writable, arguments))


class Helper:
    """A function that kernels call, compiled as part of each kernel; Python calls run it uncompiled.

    It compiles faster than a kernel, since Python needs no wrapper to call it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._dispatcher = _njit(no_cpython_wrapper=True, **_OPTIONS)(function)
        # numba looks up the type of an object in compiled code under this name.
        self._numba_type_ = self._dispatcher._numba_type_

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self._function(*arguments)


# As decorators are written.
kernel, helper = Kernel, Helper


@_intrinsic  # type: ignore[untyped-decorator]
def prefetch(context: Any, array: Any, place: Any) -> Any:
    """Let the processor fetch an element of an array, in a kernel: a load that nothing waits for."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        elements = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        at = builder.bitcast(builder.gep(elements, [arguments[1]]), _BYTES)
        declared = builder.module.declare_intrinsic("llvm.prefetch", [_BYTES], _PREFETCH)
        # To read, kept in all caches, data.
        builder.call(declared, [at, _INT(0), _INT(3), _INT(1)])
        return context.get_dummy_value()

    return numba.void(array, place), generate


class _Watch(event.Listener):  # type: ignore[misc]
    """A listener to the compilation of kernels, which numba compiles one after the other."""

    def __init__(self, begin: Callable[[], Callable[[], object]]) -> None:
        self._begin = begin
        self._ends: list[Callable[[], object]] = []

    def on_start(self, event: Any) -> None:
        """Call ``begin`` if a kernel is compiled; helpers are compiled meanwhile."""
        if isinstance(event.data["dispatcher"]._cache, _Store):
            self._ends.append(self._begin())

    def on_end(self, event: Any) -> None:
        """Call the function that ``begin`` returned for this kernel."""
        if isinstance(event.data["dispatcher"]._cache, _Store):
            self._ends.pop()()


@contextmanager
def watched_by(begin: Callable[[], Callable[[], object]]) -> Iterator[None]:
    """Call ``begin`` when the compilation of a kernel starts, and the function it returns at the end."""
    with event.install_listener("numba:compile", _Watch(begin)):
        yield


def _writable(argument: Any) -> Any:
    """Return an argument with its arrays, which may be read-only, as writable ones."""
    if isinstance(argument, np.ndarray):
        return argument if argument.flags.writeable else _Alias(argument).array
    if isinstance(argument, tuple):
        return type(argument)(*map(_writable, argument))
    return argument


class _Alias:
    """The memory of a read-only array as a writable array; a non-contiguous array is copied."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = np.ascontiguousarray(array)
        address, _ = self._array.__array_interface__["data"]
        self.__array_interface__ = self._array.__array_interface__ | {"data": (address, False)}

    @property
    def array(self) -> NDArray[Any]:
        """The writable array."""
        return np.asarray(self)


def _store_for(function: Callable[..., Any]) -> Any:
    """Return the cache of the compiled function."""
    try:
        return _Cache(function)
    except RuntimeError:
        # numba raises this if no folder is usable.
        return _NoCache()


@cache
def _sources_stamp() -> tuple[int, int]:
    """Return a hash of the times and sizes of all modules of the package, and their number."""
    folder = Path(__file__).parent.parent
    stamps = [(str(path), path.stat()) for path in sorted(folder.rglob("*.py"))]
    text = repr([(Path(name).name, stat.st_mtime_ns, stat.st_size) for name, stat in stamps])
    return zlib.crc32(text.encode()), len(stamps)


class _Store:
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


class _Cache(_Store, caching.FunctionCache):  # type: ignore[misc]
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


class _NoCache(_Store, caching.NullCache):  # type: ignore[misc]
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
