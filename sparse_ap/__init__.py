"""Affinity propagation for similarity graphs too large for a dense matrix."""

from sparse_ap.clustering import affinity_propagation
from sparse_ap.errors import InvalidInputError, MissingDependencyError, SparseAPError
from sparse_ap.model import Clustering, Outcome, SweepReport

__all__ = [
    "Clustering",
    "InvalidInputError",
    "MissingDependencyError",
    "Outcome",
    "SparseAPError",
    "SweepReport",
    "affinity_propagation",
]

__version__ = "0.1.0"
