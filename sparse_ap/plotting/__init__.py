"""Plots of clusterings, convergence, coverage, preference paths and hierarchies, with matplotlib."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sparse_ap.plotting.clustering import plot_clustering
    from sparse_ap.plotting.convergence import plot_convergence
    from sparse_ap.plotting.coverage import plot_coverage
    from sparse_ap.plotting.path import plot_path
    from sparse_ap.plotting.sizes import plot_sizes
    from sparse_ap.plotting.tree import plot_tree
else:
    __getattr__, __dir__, _names = lazy_loader.attach(
        __name__,
        submod_attrs={
            "clustering": ["plot_clustering"],
            "convergence": ["plot_convergence"],
            "coverage": ["plot_coverage"],
            "path": ["plot_path"],
            "sizes": ["plot_sizes"],
            "tree": ["plot_tree"],
        },
    )

__all__ = [
    "plot_clustering",
    "plot_convergence",
    "plot_coverage",
    "plot_path",
    "plot_sizes",
    "plot_tree",
]
