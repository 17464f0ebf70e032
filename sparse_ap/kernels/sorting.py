"""Loops over a row for kernels: its largest value, the place of a value, a merge sort."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.block import Int64Array
from sparse_ap.kernels.compilation import helper

__all__ = ["ascending", "largest_of", "longest_row", "place_of", "room_for_rows"]

# Length of the runs that are merged. Within runs insertion sort is faster, and it moves nothing in rows that
# are sorted already.
_RUN = 16


def room_for_rows(indptr: Int64Array) -> Int64Array:
    """Return memory in which `ascending` can sort any of some rows."""
    return np.empty((2, longest_row(indptr)), np.int64)


def longest_row(indptr: Int64Array) -> int:
    """Return the number of edges of the longest of some rows."""
    return int(np.diff(indptr).max(initial=0))


@helper
def ascending(keys: Any, room: Any) -> int:
    """Sort the places of the keys by ascending key, stably; return the row of ``room`` that holds them."""
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
    """Sort the places within each run by insertion, into the first row of ``room``."""
    for edge in range(len(keys)):
        place, key = edge, keys[edge]
        while place % _RUN > 0 and keys[room[0, place - 1]] > key:
            room[0, place] = room[0, place - 1]
            place -= 1
        room[0, place] = edge


@helper
def largest_of(values: Any, begin: Any, end: Any, largest: Any) -> Any:
    """Return the largest of some values and of one more: no branches.

    Two halves are searched side by side, since each step of a search waits for the step before.
    """
    half, other = (end - begin) >> np.uint64(1), largest
    for j in range(begin, begin + half):
        largest = values[j] if values[j] > largest else largest
        other = values[half + j] if values[half + j] > other else other
    for j in range(begin + half + half, end):
        largest = values[j] if values[j] > largest else largest
    return largest if largest > other else other


@helper
def place_of(values: Any, end: Any, value: Any) -> Any:
    """Return the place of a value before ``end``; -1 if none of them is equal to it."""
    for j in range(end):
        if values[j] == value:
            return np.int32(j)
    return np.int32(-1)
