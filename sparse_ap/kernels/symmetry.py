"""Links in memory: every linked pair once, in the rows of both; rows added up by groups; numbers of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.sorting import ascending

__all__ = ["joined_rows", "linked_pairs", "members_of", "paired_labels"]


def linked_pairs(
    indptr: Int64Array, indices: Int32Array, number: Int32Array
) -> tuple[Int64Array, Int32Array]:
    """Return the rows of an undirected graph, with the points renumbered.

    Parameters
    ----------
    indptr, indices : ndarray
        The rows of a directed graph: no row has its own point, or a point twice.
    number : ndarray of int32, shape (n_points,)
        The new number of each point, each once.

    Returns
    -------
    indptr : ndarray of int64, shape (n_points + 1,)
    indices : ndarray of int32
        Of each row first those that the row has, then, ascending, others whose rows have it.
    """
    n = len(number)
    row_of = np.empty(n, np.int32)
    row_of[number] = np.arange(n, dtype=np.int32)
    degree = np.zeros(n, np.int64)
    _count_ends(indices, number, degree)
    begin = starts_of(degree)
    back = np.empty(len(indices), np.int32)
    _turn_back(indptr, indices, number, row_of, begin[:-1].copy(), back)
    met = np.full(n, -1, np.int32)
    _count_pairs(indptr, indices, number, row_of, begin, back, met, degree)
    starts = starts_of(degree)
    linked = np.empty(starts[-1], np.int32)
    met[:] = -1
    _write_pairs(indptr, indices, number, row_of, begin, back, met, starts, linked)
    return starts, linked


def joined_rows(
    block: Block, label: Int32Array, n_groups: int
) -> tuple[Int64Array, Int32Array, Float64Array]:
    """Return the rows of a graph of links in memory, added up by groups; columns in no order.

    Parameters
    ----------
    block : Block
        All rows.
    label : ndarray of int32, shape (n_points,)
    n_groups : int

    Returns
    -------
    indptr : ndarray of int64, shape (n_groups + 1,)
    indices : ndarray of int32
    data : ndarray of float64
    """
    begin, members = members_of(label, n_groups)
    degree = np.zeros(n_groups, np.int64)
    _count_met(*block.csr[:2], label, begin, members, np.full(n_groups, -1, np.int32), degree)
    indptr = starts_of(degree)
    indices, data = np.empty(indptr[-1], np.int32), np.empty(indptr[-1])
    _add_members(*block.csr, label, begin, members, np.zeros(n_groups), indptr, indices, data)
    return indptr, indices, data


def paired_labels(first: Int32Array, second: Int32Array) -> tuple[Int32Array, int]:
    """Return the number of each node's pair of labels, in the order of the pairs, and how many occur.

    Parameters
    ----------
    first, second : ndarray of int32, shape (n_nodes,)
        From 0; not much larger than the number of nodes.
    """
    begin, members = members_of(first, int(first.max(initial=-1)) + 1)
    n_second = int(second.max(initial=-1)) + 1
    seen, at = np.full(n_second, -1, np.int32), np.empty(n_second, np.int32)
    most = min(n_second, int(np.diff(begin).max(initial=0)))
    met, room = np.empty(most, np.int32), np.empty((2, most), np.int64)
    number = np.empty(len(first), np.int32)
    return number, _number_pairs(begin, members, second, seen, at, met, room, number)


def members_of(label: Int32Array, n_groups: int) -> tuple[Int64Array, Int32Array]:
    """Return where the members of each group begin, and the members, group by group, ascending."""
    begin = starts_of(np.bincount(label, minlength=n_groups))
    members = np.empty(len(label), np.int32)
    _list_members(label, begin[:-1].copy(), members)
    return begin, members


@kernel
def _count_ends(indices: Any, number: Any, degree: Any) -> None:
    for edge in range(len(indices)):
        degree[number[indices[edge]]] += 1


@kernel
def _turn_back(indptr: Any, indices: Any, number: Any, row_of: Any, place: Any, back: Any) -> None:
    for i in range(len(row_of)):
        for edge in range(indptr[row_of[i]], indptr[row_of[i] + 1]):
            j = number[indices[edge]]
            back[place[j]] = i
            place[j] += 1


@kernel
def _count_pairs(
    indptr: Any, indices: Any, number: Any, row_of: Any, begin: Any, back: Any, met: Any, degree: Any
) -> None:
    for i in range(len(row_of)):
        first, last = indptr[row_of[i]], indptr[row_of[i] + 1]
        for edge in range(first, last):
            met[number[indices[edge]]] = i
        n = last - first
        for edge in range(begin[i], begin[i + 1]):
            n += met[back[edge]] != i
        degree[i] = n


@kernel
def _write_pairs(
    indptr: Any, indices: Any, number: Any, row_of: Any, begin: Any, back: Any, met: Any, starts: Any,
    linked: Any,
) -> None:  # fmt: skip
    for i in range(len(row_of)):
        to = starts[i]
        for edge in range(indptr[row_of[i]], indptr[row_of[i] + 1]):
            j = number[indices[edge]]
            met[j] = i
            linked[to] = j
            to += 1
        for edge in range(begin[i], begin[i + 1]):
            if met[back[edge]] != i:
                linked[to] = back[edge]
                to += 1


@kernel
def _list_members(label: Any, place: Any, members: Any) -> None:
    for i in range(len(label)):
        members[place[label[i]]] = i
        place[label[i]] += 1


@kernel
def _count_met(
    indptr: Any, indices: Any, label: Any, begin: Any, members: Any, last: Any, degree: Any
) -> None:
    for group in range(len(degree)):
        for place in range(begin[group], begin[group + 1]):
            i = members[place]
            for edge in range(indptr[i], indptr[i + 1]):
                c = label[indices[edge]]
                degree[group] += last[c] != group
                last[c] = group


@kernel
def _add_members(
    indptr: Any, indices: Any, data: Any, label: Any, begin: Any, members: Any, room: Any, starts: Any,
    to: Any, weight: Any,
) -> None:  # fmt: skip
    """Add up the weights of all members of each group; ``room`` is all 0 before and after."""
    for group in range(len(starts) - 1):
        n = starts[group]
        for place in range(begin[group], begin[group + 1]):
            i = members[place]
            for edge in range(indptr[i], indptr[i + 1]):
                c = label[indices[edge]]
                if room[c] == 0.0:
                    to[n] = c
                    n += 1
                room[c] += data[edge]
        for entry in range(starts[group], n):
            weight[entry] = room[to[entry]]
            room[to[entry]] = 0.0


@kernel
def _number_pairs(
    begin: Any, members: Any, second: Any, seen: Any, at: Any, met: Any, room: Any, number: Any
) -> int:
    """Fill in the numbers, the pairs of one first label after those of the label before."""
    n = 0
    for label in range(len(begin) - 1):
        n_met = 0
        for place in range(begin[label], begin[label + 1]):
            other = second[members[place]]
            if seen[other] != label:
                seen[other] = label
                met[n_met] = other
                n_met += 1
        order = room[ascending(met[:n_met], room)]
        for k in range(n_met):
            at[met[order[k]]] = n + k
        for place in range(begin[label], begin[label + 1]):
            number[members[place]] = at[second[members[place]]]
        n += n_met
    return n
