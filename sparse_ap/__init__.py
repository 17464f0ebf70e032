"""Affinity propagation for similarity graphs too large for a dense matrix."""

import sys
from importlib import import_module
from types import ModuleType

import lazy_loader

# Not from typing, whose import takes longer than this module: until then Ctrl-C shows a traceback.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from sparse_ap import errors as errors
    from sparse_ap import graphs as graphs
    from sparse_ap import plotting as plotting
    from sparse_ap.clustering.affinity_propagation import affinity_propagation
    from sparse_ap.clustering.cover import cover
    from sparse_ap.clustering.growth.extend import extend
    from sparse_ap.clustering.hierarchy import hierarchy
    from sparse_ap.clustering.metacells.metacells import metacells
    from sparse_ap.clustering.metacells.quality import metacell_quality
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
    from sparse_ap.estimator import AffinityPropagation
    from sparse_ap.plotting.explorer.page import write_explorer
    from sparse_ap.plotting.html_report import write_report
    from sparse_ap.propagation.history import SweepReport
    from sparse_ap.propagation.outcome import Outcome, Recourse
    from sparse_ap.propagation.prediction import Prediction
    from sparse_ap.propagation.representation.exemplar_edges import ExemplarEdges
    from sparse_ap.propagation.representation.ranking import Ranking
    from sparse_ap.propagation.representation.shares import RunnerUp
    from sparse_ap.propagation.result import Clustering
else:
    # Modules are imported at the first use of one of their names: numba, scipy and sklearn take a second.
    __getattr__, __dir__, _names = lazy_loader.attach(
        __name__,
        ["errors", "graphs", "plotting"],
        {
            "clustering.cover": ["cover"],
            "clustering.growth.extend": ["extend"],
            "clustering.affinity_propagation": ["affinity_propagation"],
            "clustering.hierarchy": ["hierarchy"],
            "clustering.metacells.metacells": ["metacells"],
            "clustering.metacells.quality": ["metacell_quality"],
            "clustering.preference_path": ["PreferencePath", "preference_path"],
            "clustering.preference_range": ["PreferenceRange", "preference_range"],
            "clustering.tree": ["Cut", "Hierarchy"],
            "errors": [
                "CheckpointError",
                "ClusterError",
                "DamagedGraphError",
                "InvalidInputError",
                "MemoryLimitError",
                "MissingDependencyError",
                "PositiveSimilarityWarning",
                "RunInterrupted",
                "SparseAPError",
            ],
            "estimator": ["AffinityPropagation"],
            "plotting.explorer.page": ["write_explorer"],
            "plotting.html_report": ["write_report"],
            "propagation.prediction": ["Prediction"],
            "propagation.representation.exemplar_edges": ["ExemplarEdges"],
            "propagation.representation.ranking": ["Ranking"],
            "propagation.representation.shares": ["RunnerUp"],
            "propagation.outcome": ["Outcome", "Recourse"],
            "propagation.result": ["Clustering", "SweepReport"],
        },
    )

__all__ = [
    "AffinityPropagation",
    "CheckpointError",
    "ClusterError",
    "Clustering",
    "Cut",
    "DamagedGraphError",
    "ExemplarEdges",
    "Hierarchy",
    "InvalidInputError",
    "MemoryLimitError",
    "MissingDependencyError",
    "Outcome",
    "PositiveSimilarityWarning",
    "Prediction",
    "PreferencePath",
    "PreferenceRange",
    "Ranking",
    "Recourse",
    "RunInterrupted",
    "RunnerUp",
    "SparseAPError",
    "SweepReport",
    "affinity_propagation",
    "cover",
    "extend",
    "hierarchy",
    "metacell_quality",
    "metacells",
    "preference_path",
    "preference_range",
    "write_explorer",
    "write_report",
]

__version__ = "0.1.0"


def _moved(name: str, home: str) -> ModuleType:
    """Return a module that forwards to another one, which is imported at the first use of a name."""

    def found(attribute: str) -> object:
        # Programs that look through all modules, such as inspect, ask each for its __file__.
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        return getattr(import_module(home), attribute)

    module = ModuleType(name)
    vars(module)["__getattr__"] = found
    return module


# Pickles from before November 2026 look for the results in these modules.
sys.modules["sparse_ap.model"] = _moved("sparse_ap.model", "sparse_ap.propagation.result")
sys.modules["sparse_ap.tree"] = _moved("sparse_ap.tree", "sparse_ap.clustering.tree")
