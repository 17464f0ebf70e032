"""The dual variables from which the proof of a bound starts, and the unit in which it measures them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.assignment import RankedVectors
from sparse_ap.kernels.block import Float64Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.exact_sum import grid_sum
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.moves import NearestTwoPass, NearestTwoRows

__all__ = ["DualStart", "dual_start"]

# Bisections for the height to which shares are filled: what they leave over is shared equally.
_BISECTIONS = 30


class DualStart(NamedTuple):
    """Dual variables, in the order of the graph, and the mean share of a point in its exemplar's cost."""

    dual: Float64Array
    mean_share: float


def dual_start(problem: Problem, clustering: Clustering) -> DualStart:
    """Return what each point has in a clustering, less its share in the cost of its exemplar.

    A member has its similarity, an exemplar as much as its closest member. What the exemplars then have
    beyond their preferences is their cost, which their clusters share. No share exceeds what its point would
    lose without the exemplar, as far as the cost can be covered so; the rest is shared equally. The sum of
    the dual variables is the net similarity.
    """
    user_id, labels = problem.user_id, clustering.labels
    # All in the user's order: sums in the order of points are then the same for any order of the graph.
    preference = np.empty(len(labels))
    preference[user_id] = problem.preference
    exemplar = np.zeros(len(labels), np.bool_)
    exemplar[clustering.exemplars] = True
    fallback = _fallbacks(problem, exemplar)
    have = clustering.similarities.astype(np.float64)
    closest = np.full(clustering.n_clusters, -np.inf)
    np.maximum.at(closest, labels[~exemplar], have[~exemplar])
    costs = preference[clustering.exemplars]
    # An exemplar on its own pays its cost itself, whatever it has.
    have[clustering.exemplars] = np.where(closest > -np.inf, closest, np.maximum(costs, 0.0))
    costs = have[clustering.exemplars] - costs
    caps = np.maximum(have - np.maximum(fallback, preference), 0.0)
    share = np.empty(len(labels))
    _share_costs(labels, caps, costs, np.zeros((5, clustering.n_clusters)), share)
    return DualStart((have - share)[user_id], grid_sum(np.abs(share)) / max(1, len(labels)))


def _fallbacks(problem: Problem, exemplar: Any) -> Float64Array:
    """Return each point's similarity to its best exemplar but its own, in the user's order; or -inf."""
    n = problem.graph.n_points
    ids, values = np.empty((2, n), np.int32), np.empty((2, n))
    rows = NearestTwoRows(np.full(n, -np.inf), ids[0], values[0], ids[1], values[1])
    vectors = RankedVectors(exemplar[problem.user_id], problem.user_id)
    problem.graph.run(NearestTwoPass(-np.inf), vectors, rows)
    fallback = np.empty(n)
    fallback[problem.user_id] = rows.fallback
    return fallback


@kernel
def _share_costs(labels: Any, caps: Any, costs: Any, room: Any, share: Any) -> None:
    """Write the shares: each the same but for caps, as high as the cost of the cluster needs."""
    size, low, high, height, total = room
    for c in range(len(costs)):
        high[c] = max(costs[c], 0.0)
    for i in range(len(labels)):
        size[labels[i]] += 1.0
    for _ in range(_BISECTIONS):
        for c in range(len(costs)):
            height[c], total[c] = 0.5 * (low[c] + high[c]), 0.0
        for i in range(len(labels)):
            total[labels[i]] += min(caps[i], height[labels[i]])
        for c in range(len(costs)):
            if total[c] < costs[c]:
                low[c] = height[c]
            else:
                high[c] = height[c]
    total[:] = 0.0
    for i in range(len(labels)):
        share[i] = min(caps[i], high[labels[i]])
        total[labels[i]] += share[i]
    for i in range(len(labels)):
        share[i] += (costs[labels[i]] - total[labels[i]]) / size[labels[i]]
