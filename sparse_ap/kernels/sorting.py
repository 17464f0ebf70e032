"""The sort that kernels share: numba's own take longer to compile than any kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.block import Int64Array
from sparse_ap.kernels.compilation import helper

__all__ = ["ascending", "room_for_rows"]

# As long are the runs that are merged. Within them insertion sort is faster, and moves nothing in rows that
# are sorted already.
_RUN = 16


def room_for_rows(indptr: Int64Array) -> Int64Array:
    """Return room in which `ascending` can sort the longest of some rows."""
    longest = int(np.diff(indptr).max(initial=0))
    return np.empty((2, longest), np.int64)


@helper
def ascending(keys: Any, room: Any) -> Any:
    """Return the places of the keys in ascending order, of equals the first first; as a part of ``room``."""
    order, merged = room[0], room[1]
    _sort_runs(keys, order)
    width = _RUN
    while width < len(keys):
        for begin in range(0, len(keys), 2 * width):
            middle, end = min(begin + width, len(keys)), min(begin + 2 * width, len(keys))
            left, right = begin, middle
            for to in range(begin, end):
                takes_left = right == end or (left < middle and keys[order[left]] <= keys[order[right]])
                merged[to] = order[left] if takes_left else order[right]
                left, right = left + takes_left, right + (not takes_left)
        order, merged = merged, order
        width *= 2
    return order[: len(keys)]


@helper
def _sort_runs(keys: Any, order: Any) -> None:
    """Sort each run by insertion."""
    for edge in range(len(keys)):
        place, key = edge, keys[edge]
        while place % _RUN > 0 and keys[order[place - 1]] > key:
            order[place] = order[place - 1]
            place -= 1
        order[place] = edge
