"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Helper", "Kernel", "helper", "kernel"]

_njit: Any = numba.njit
# What C code would need to call a kernel takes time to compile, and no C code calls one.
_OPTIONS: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True}


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
        self.dispatcher = _njit(cache=True, **_OPTIONS)(function)

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
