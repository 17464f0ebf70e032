"""`Outcome`: how a run ended."""

from __future__ import annotations

from enum import Enum

__all__ = ["Outcome"]


class Outcome(Enum):
    """The way in which a run ended. The value is advice to the user."""

    __module__ = "sparse_ap"  # where pickles look for it, wherever it is defined

    CONVERGED = "The exemplars have settled."
    MAX_ITER_REACHED = (
        "Affinity propagation did not converge: at the last sweep exemplars were still changing, or too "
        "many points had no edge to any. Every label is valid all the same. Raise max_iter; if the number of "
        "unsettled points in the history has stopped falling, raise damping, or tol to let them be."
    )
    NO_EXEMPLARS = (
        "Affinity propagation did not converge: no point had become an exemplar, so the exemplars returned "
        "are makeshift. Raise max_iter, or raise the preference."
    )
    ALL_EQUAL = (
        "All samples have mutually equal similarities and preferences: every choice of exemplar is as "
        "good as another, so the clustering returned is arbitrary. Give preferences that differ."
    )
    GROUPED = (
        "The edges of this graph allow no clustering with so few clusters, so clusters were put together "
        "along a tree, as sparse_ap.hierarchy(...).cut_exactly(...) does. A point need not have an edge to "
        "its exemplar; its similarity to it is then not known (NaN)."
    )
