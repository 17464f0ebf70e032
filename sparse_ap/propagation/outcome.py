"""`Outcome`: how a run ended; and `Recourse`: what it has changed of the clustering that it extends."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, Self

from sparse_ap.kernels.block import Int64Array

__all__ = ["Outcome", "Recourse"]


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


class Recourse(NamedTuple):
    """What `extend` has changed, in rows of the new graph, ascending.

    Attributes
    ----------
    opened : ndarray of int64, shape (n_opened,)
        Exemplars that were none before: new points, and old ones.
    closed : ndarray of int64, shape (n_closed,)
        Old points that were exemplars, and are none now. Exemplars that were left out have no row, and are
        not among them.
    moved : ndarray of int64, shape (n_moved,)
        Old points whose exemplar is another point than before, or was left out.
    """

    opened: Int64Array
    closed: Int64Array
    moved: Int64Array

    def arrays(self) -> dict[str, Int64Array]:
        """Return the rows by their names in files, which are part of the format."""
        return {f"recourse_{name}": rows for name, rows in self._asdict().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self | None:
        """Return the rows in the arrays of a file; None if they are not there."""
        names = [f"recourse_{name}" for name in cls._fields]
        return cls(*(arrays[name] for name in names)) if names[0] in arrays else None


# Where pickles look for it, wherever it is defined.
Recourse.__module__ = "sparse_ap"
