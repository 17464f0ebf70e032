"""Compilation of kernels, and of the helpers that they call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import Any

import numba
import numba.core.event
import numba.extending
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from sparse_ap.kernels.compilation.caches import Store, store_for
from sparse_ap.kernels.compilation.compilers import HelperCompiler, KernelCompiler

__all__ = ["Helper", "Kernel", "helper", "kernel", "prefetch", "watched_by"]

_njit: Any = numba.njit
_intrinsic: Any = numba.extending.intrinsic
event: Any = numba.core.event
types: Any = numba.types
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
        self.dispatcher = _njit(pipeline_class=KernelCompiler, **_OPTIONS)(function)
        self.dispatcher._cache = store_for(function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel; the first call with these types compiles it."""
        return self.dispatcher(*map(_writable, arguments))


class Helper:
    """A function that kernels call, compiled as part of each kernel; Python calls run it uncompiled.

    It compiles faster than a kernel: it is optimised only as a part of one, Python needs no wrapper for it,
    and signed integers of all sizes get to it as int64, so that it needs no variants for them.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        options = _OPTIONS | {"no_cpython_wrapper": True, "pipeline_class": HelperCompiler}
        self._dispatcher = _njit(**options)(function)
        self._template_of = self._dispatcher.get_call_template
        self._dispatcher.get_call_template = self._wide_template_of
        # numba looks up the type of an object in compiled code under this name.
        self._numba_type_ = self._dispatcher._numba_type_

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self._function(*arguments)

    def _wide_template_of(self, arguments: Any, named: dict[str, Any]) -> Any:
        """Return numba's template of a call with arguments of these types."""
        wide = {name: _wide(kind) for name, kind in named.items()}
        return self._template_of(tuple(map(_wide, arguments)), wide)


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
        if isinstance(event.data["dispatcher"]._cache, Store):
            self._ends.append(self._begin())

    def on_end(self, event: Any) -> None:
        """Call the function that ``begin`` returned for this kernel."""
        if isinstance(event.data["dispatcher"]._cache, Store):
            self._ends.pop()()


@contextmanager
def watched_by(begin: Callable[[], Callable[[], object]]) -> Iterator[None]:
    """Call ``begin`` when the compilation of a kernel starts, and the function it returns at the end."""
    with event.install_listener("numba:compile", _Watch(begin)):
        yield


def _wide(kind: Any) -> Any:
    """Return the type as which an argument of some type gets to a helper."""
    kind = types.unliteral(kind)
    return types.int64 if kind in types.signed_domain else kind


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
