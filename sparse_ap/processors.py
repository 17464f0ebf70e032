"""How many threads a call may use."""

from __future__ import annotations

import os
from numbers import Integral

from sparse_ap.errors import InvalidInputError

__all__ = ["usable_threads"]


def usable_threads(n_jobs: int | None) -> int:
    """Return a number of threads; None or -1: one for each processor this process may use.

    Raises
    ------
    InvalidInputError
        ``n_jobs`` is neither -1 nor positive.
    """
    if n_jobs is None or (isinstance(n_jobs, Integral) and n_jobs == -1):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(n_jobs, Integral) or n_jobs < 1:
        raise InvalidInputError(
            f"n_jobs={n_jobs}; a positive whole number of threads is needed, or -1 for all."
        )
    return int(n_jobs)
