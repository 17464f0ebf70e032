"""Affinity propagation for similarity graphs too large for a dense matrix."""

import sys
from typing import TYPE_CHECKING, Any

from sparse_ap.clustering.affinity_propagation import affinity_propagation
from sparse_ap.clustering.hierarchy import hierarchy
from sparse_ap.clustering.preference_path import PreferencePath, preference_path
from sparse_ap.clustering.preference_range import PreferenceRange, preference_range
from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.errors import (
    CheckpointError,
    ClusterError,
    DamagedGraphError,
    InvalidInputError,
    MemoryLimitError,
    MissingDependencyError,
    PositiveSimilarityWarning,
    RunInterrupted,
    SparseAPError,
)
from sparse_ap.plotting.html_report import write_report
from sparse_ap.propagation.result import Clustering, Outcome, SweepReport

if TYPE_CHECKING:
    from sparse_ap.estimator import AffinityPropagation

__all__ = [
    "AffinityPropagation",
    "CheckpointError",
    "ClusterError",
    "Clustering",
    "Cut",
    "DamagedGraphError",
    "Hierarchy",
    "InvalidInputError",
    "MemoryLimitError",
    "MissingDependencyError",
    "Outcome",
    "PositiveSimilarityWarning",
    "PreferencePath",
    "PreferenceRange",
    "RunInterrupted",
    "SparseAPError",
    "SweepReport",
    "affinity_propagation",
    "hierarchy",
    "preference_path",
    "preference_range",
    "write_report",
]

__version__ = "0.1.0"

# Pickles from before November 2026 look for the results in these modules.
sys.modules["sparse_ap.model"] = sys.modules["sparse_ap.propagation.result"]
sys.modules["sparse_ap.tree"] = sys.modules["sparse_ap.clustering.tree"]


def __getattr__(name: str) -> Any:
    """Import the estimator on first use: scikit-learn takes longer to import than everything else."""
    if name == "AffinityPropagation":
        from sparse_ap.estimator import AffinityPropagation

        return AffinityPropagation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
