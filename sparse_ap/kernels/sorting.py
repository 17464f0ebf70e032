"""The sort that kernels share: numba's own take longer to compile than any kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.block import Int64Array
from sparse_ap.kernels.compilation import helper

__all__ = ["ascending", "longest_row", "room_for_rows"]

# As long are the runs that are merged. Within them insertion sort is faster, and moves nothing in rows that
# are sorted already.
_RUN = 16


def room_for_rows(indptr: Int64Array) -> Int64Array:
    """Return room in which `ascending` can sort the longest of some rows."""
    return np.empty((2, longest_row(indptr)), np.int64)


def longest_row(indptr: Int64Array) -> int:
    """Return how many edges the longest of some rows has."""
    return int(np.diff(indptr).max(initial=0))


@helper
def ascending(keys: Any, room: Any) -> int:
    """Sort the places of the keys in ascending order, of equals the first first.

    Returns which row of ``room`` they are in.
    """
    _sort_runs(keys, room)
    width, at = _RUN, 0
    while width < len(keys):
        for begin in range(0, len(keys), 2 * width):
            middle, end = min(begin + width, len(keys)), min(begin + 2 * width, len(keys))
            left, right = begin, middle
            for to in range(begin, end):
                takes_left = right == end or (left < middle and keys[room[at, left]] <= keys[room[at, right]])
                room[1 - at, to] = room[at, left if takes_left else right]
                left, right = left + takes_left, right + (not takes_left)
        at = 1 - at
        width *= 2
    return at


@helper
def _sort_runs(keys: Any, room: Any) -> None:
    """Sort each run by insertion."""
    for edge in range(len(keys)):
        place, key = edge, keys[edge]
        while place % _RUN > 0 and keys[room[0, place - 1]] > key:
            room[0, place] = room[0, place - 1]
            place -= 1
        room[0, place] = edge
