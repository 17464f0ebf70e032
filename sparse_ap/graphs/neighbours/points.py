"""The kinds of points that searches take."""

from __future__ import annotations

from sparse_ap.graphs.neighbours.bits import Bits
from sparse_ap.graphs.neighbours.sparse_space import SparseSpace
from sparse_ap.graphs.neighbours.vector_space import VectorSpace
from sparse_ap.graphs.neighbours.vectors import Vectors

__all__ = ["ListedPoints", "Points", "Rankable", "Space"]

# Points whose distances can be computed, pair by pair.
Rankable = VectorSpace | Bits | SparseSpace
# Points under a metric, in a form in which all can be compared with all.
Space = VectorSpace | Bits
# Points that can be compared pair by pair, by exact scores; a higher score means nearer.
ListedPoints = Vectors | Bits | SparseSpace
# The same, all with all. HOME_IS_NEAREST says whether the cells in which a point is searched are those near
# its own; there are CELLS_PER_ROOT cells for each unit of the root of the number of points.
Points = Vectors | Bits
