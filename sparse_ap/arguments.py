"""Checks and conversions of arguments that several public functions share."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = [
    "available",
    "bytes_of",
    "is_finite",
    "is_positive_integer",
    "progress_bar",
    "real_numbers",
    "require",
    "require_count",
    "seed_of",
    "usable_threads",
]


def require(name: str, given: object, right: bool, needed: str) -> None:
    """Refuse an argument that is not ``right``; ``needed`` describes the allowed values."""
    if not right:
        raise InvalidInputError(f"{name}={given!r}; it must be {needed}.")


def require_count(name: str, given: object, or_none: bool = False) -> None:
    """Refuse a value other than an integer of at least 1 or, with ``or_none``, None."""
    right = is_positive_integer(given) or (or_none and given is None)
    require(name, given, right, "at least 1, a whole number" + (", or None" if or_none else ""))


def real_numbers(values: Any) -> NDArray[np.float64]:
    """Return numbers as float64.

    Raises
    ------
    TypeError, ValueError, OverflowError
        They are no numbers, or complex ones, whose imaginary part would be lost.
    """
    if np.asarray(values).dtype.kind == "c":
        raise TypeError("complex numbers")
    return np.asarray(values, np.float64)


def is_positive_integer(value: object) -> bool:
    """Whether a value is an integer of at least 1; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def is_finite(value: object) -> bool:
    """Whether a value is a real number in the range of float64."""
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # An integer beyond that range.
        return False


def usable_threads(n_jobs: int | None) -> int:
    """Return the number of threads for ``n_jobs``, at most one for each processor this process may use.

    None or -1 stands for that number.

    Raises
    ------
    InvalidInputError
        ``n_jobs`` is neither -1 nor positive.
    """
    if n_jobs is None or (isinstance(n_jobs, Integral) and n_jobs == -1):
        return _processors()
    if not isinstance(n_jobs, Integral) or n_jobs < 1:
        raise InvalidInputError(
            f"n_jobs={n_jobs}; a positive whole number of threads is needed, or -1 for all."
        )
    return min(int(n_jobs), _processors())


def _processors() -> int:
    """Return the number of processors that this process may use."""
    # The affinity respects the limits of batch systems and containers, unlike the number of processors.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seed_of(random_state: Any) -> int:
    """Return a seed: the number given, one drawn from the generator given, or for None a new one.

    Raises
    ------
    InvalidInputError
        ``random_state`` is none of these.
    """
    if isinstance(random_state, np.random.RandomState):
        # The largest range of RandomState on every platform.
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63 - 1))
    if random_state is None:
        return int(np.random.default_rng().integers(2**63 - 1))
    whole = isinstance(random_state, Integral)
    require("random_state", random_state, whole, "a whole number, a numpy generator or None")
    return int(random_state)


def progress_bar(verbose: bool, total: int, what: str, **shown: Any) -> tqdm[Any]:
    """Return a progress bar, shown only if ``verbose`` and if standard error is a terminal."""
    from tqdm import tqdm

    # disable=None: tqdm stays silent where standard error is no terminal.
    return tqdm(total=total, desc=what, leave=False, disable=None if verbose else True, **shown)


def available() -> int:
    """Return the bytes that the process holds or may still allocate, leaving some to other processes."""
    # A fifth of the free memory is left to other processes, and to the page cache, which streaming needs.
    return int(psutil.Process().memory_info().rss + 0.8 * psutil.virtual_memory().available)


def bytes_of(memory_limit: int | str) -> int:
    """Return a number of bytes, given as a number or as text such as ``"2GB"``.

    Raises
    ------
    InvalidInputError
        ``memory_limit`` is not a positive amount of memory.
    """
    from dask.utils import parse_bytes

    try:
        limit = int(parse_bytes(memory_limit))
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise InvalidInputError(
            f"memory_limit={memory_limit!r}; an amount of memory is needed, such as '2GB' or 2_000_000_000."
        ) from error
    if limit <= 0:
        raise InvalidInputError(f"memory_limit={memory_limit!r}; more than nothing is needed, such as '2GB'.")
    return limit
