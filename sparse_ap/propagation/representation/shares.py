"""Shares of exemplars in each point, and the exemplar that comes next to its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Float64Array, Int64Array, starts_of
from sparse_ap.kernels.elementary import exponentials
from sparse_ap.propagation.representation.exemplar_edges import ExemplarEdges
from sparse_ap.storage.csr import index_type

if TYPE_CHECKING:
    import scipy.sparse

__all__ = ["RunnerUp", "shares_of"]

# Smaller exponents are taken for this one: e to its power is far below all that a sum of shares sees.
_LEAST_EXPONENT = -700.0


@dataclass(frozen=True, slots=True, eq=False)
class RunnerUp:
    """The most similar exemplar of each point that is not its own.

    Attributes
    ----------
    labels : ndarray of int64, shape (n_points,)
        ``exemplars[labels[i]]`` of the clustering is the runner-up of point i; -1: the point has no edge to
        another exemplar, or nobody represents it. Of equally similar ones the first.
    exemplars : ndarray of int64, shape (n_points,)
        The number of that exemplar among the points; -1 for none.
    similarities : ndarray of float64, shape (n_points,)
        To that exemplar; NaN for none.
    margins : ndarray of float64, shape (n_points,)
        By how much the point is more similar to its own exemplar; 0: just as similar. NaN without a
        runner-up, for exemplars, which have no similarity to themselves, and where the similarity to the own
        exemplar is not known.
    """

    __module__ = "sparse_ap"

    labels: Int64Array
    exemplars: Int64Array
    similarities: Float64Array
    margins: Float64Array

    @classmethod
    def of(cls, edges: ExemplarEdges) -> Self:
        """Return the first of the other exemplars of each point."""
        similarities = edges.best_other
        reaches = ~np.isnan(similarities)
        labels = np.full(len(reaches), -1)
        labels[reaches] = edges.label[edges.indptr[:-1][reaches]]
        numbers = np.full(len(reaches), -1)
        numbers[reaches] = edges.exemplars[labels[reaches]]
        return cls(labels, numbers, similarities, edges.own - similarities)


def shares_of(edges: ExemplarEdges, temperature: float | None) -> scipy.sparse.csr_array:
    """Return the shares of the exemplars in each point; see `Clustering.memberships`.

    Parameters
    ----------
    edges : ExemplarEdges
        To the exemplars that have a share.
    temperature : float or None

    Raises
    ------
    InvalidInputError
        The similarity of a point to its exemplar is not known.
    """
    import scipy.sparse

    n, exemplars, alone = len(edges.own), edges.exemplars, np.zeros(len(edges.own), np.bool_)
    alone[exemplars] = True
    if (np.isnan(edges.own) & (edges.own_label >= 0) & ~alone).any():
        raise InvalidInputError(
            "The clustering does not know the similarities to its exemplars, since its clusters are groups "
            "of a tree (Outcome.GROUPED), along whose edges there are no shares. Cluster the graph with more "
            "clusters, as many as its edges allow."
        )
    indptr, label, similarity = edges.joined()
    row = np.repeat(np.arange(n), np.diff(indptr))
    best = np.fmax(edges.own, edges.best_other)
    away = similarity - best[row]
    with np.errstate(over="ignore"):
        away /= _typical_margin(edges) if temperature is None else temperature
    share = exponentials(np.maximum(away, _LEAST_EXPONENT))
    # Of exemplars nobody else has a share.
    kept = ~alone[row]
    row = np.append(row[kept], exemplars)
    label = np.append(label[kept], np.arange(len(exemplars), dtype=np.int32))
    share = np.append(share[kept], np.ones(len(exemplars)))
    # In the order of the arrays, hence the same bits everywhere.
    share /= np.bincount(row, share, n)[row]
    width = index_type(max(n, len(exemplars)), len(row))
    order = np.lexsort((label, row))
    starts = starts_of(np.bincount(row, minlength=n))
    return scipy.sparse.csr_array(
        (share[order], label[order].astype(width), starts.astype(width)), shape=(n, len(exemplars))
    )


def _typical_margin(edges: ExemplarEdges) -> float:
    """Return the median of the margins above 0; 1 if there is none."""
    margins = edges.own - edges.best_other
    margins = margins[margins > 0]
    return float(np.median(margins)) if len(margins) else 1.0
