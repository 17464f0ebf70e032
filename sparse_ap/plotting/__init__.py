"""Plots of clusterings, convergence, preference paths and hierarchies, with matplotlib."""

from sparse_ap.plotting.clustering import plot_clustering
from sparse_ap.plotting.convergence import plot_convergence
from sparse_ap.plotting.path import plot_path
from sparse_ap.plotting.sizes import plot_sizes
from sparse_ap.plotting.tree import plot_tree

__all__ = ["plot_clustering", "plot_convergence", "plot_path", "plot_sizes", "plot_tree"]
