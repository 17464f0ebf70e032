"""Between which resolutions a group lives: below, it merges with another; above, a part of it leaves."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from sparse_ap.clustering.natural.link_graph import sums
from sparse_ap.kernels.block import Float64Array, Int64Array

__all__ = ["halves", "merging", "splitting"]


def merging(weights: scipy.sparse.csr_array) -> Float64Array:
    """Return the resolution below which each group gains by merging with another; 0 without links.

    Groups a and b gain while W(a, b) > γ v_a v_b / 2m.

    Parameters
    ----------
    weights : csr_array of float64, shape (n_groups, n_groups)
        Links between groups; twice those inside on the diagonal.
    """
    edges, volume = weights.tocoo(), np.asarray(weights.sum(axis=1))
    a, b = edges.coords
    other = a != b
    a, b, weight = a[other], b[other], edges.data[other]
    found = np.zeros(len(volume))
    np.maximum.at(found, a, weight * volume.sum() / (volume[a] * volume[b]))
    return found


def splitting(weights: scipy.sparse.csr_array, parents: Int64Array, n_groups: int) -> Float64Array:
    """Return the resolution above which each group gains by letting one of its parts go; inf for one part.

    Parameters
    ----------
    weights : csr_array of float64, shape (n_parts, n_parts)
        Links between parts, as of `merging`.
    parents : ndarray of int64, shape (n_parts,)
    n_groups : int
    """
    edges, volume = weights.tocoo(), np.asarray(weights.sum(axis=1))
    a, b = edges.coords
    inside = (a != b) & (parents[a] == parents[b])
    to_others = sums(a[inside], edges.data[inside], len(volume))
    others = sums(parents, volume, n_groups)[parents] - volume
    several = np.bincount(parents, minlength=n_groups)[parents] > 1
    both = volume * others
    at = np.where(several, to_others * volume.sum() / np.where(both > 0, both, 1.0), np.inf)
    found = np.full(n_groups, np.inf)
    np.minimum.at(found, parents, at)
    return found


def halves(values: Float64Array, sizes: Int64Array) -> float:
    """Return the value that half of the points have at most: the median, by the sizes of their groups."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(sizes[order])
    return float(values[order][np.searchsorted(2 * reached, reached[-1])]) if len(order) else np.nan
