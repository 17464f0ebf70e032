"""The summary of a clustering that commands print."""

from __future__ import annotations

from sparse_ap.cli.output import sizes_line
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.result import Clustering

__all__ = ["clustering_lines"]


def _proven(clustering: Clustering) -> str:
    of_what = " for the complete graph" if clustering.bound_is_complete else ""
    optimal = "; optimal within HiGHS's tolerance" if clustering.optimal else ""
    return f"proven{of_what}; {clustering.optimality_gap:.2%} more{optimal}"


def clustering_lines(clustering: Clustering, recall: Recall | None, seconds: float) -> list[str]:
    """Return the summary of a run, line by line."""
    n = len(clustering.labels)
    bound = clustering.net_similarity_bound
    lost, collapsed = clustering.n_unrepresented, clustering.n_collapsed
    lines = [
        f"points          {n:,}",
        *([f"unrepresented   {lost:,}  (labelled -1)"] if lost else []),
        *([f"collapsed       {collapsed:,}  (equal to another point)"] if collapsed else []),
        *([] if recall is None else [f"recall          {recall}"]),
        f"exemplars       {clustering.n_clusters:,}",
        *([] if clustering.preference is None else [f"preference      {clustering.preference:.8g}"]),
        sizes_line(clustering),
        *_weights_line(clustering),
        *_net_line(clustering),
        *([] if bound is None else [f"at most         {bound:.8g}  ({_proven(clustering)})"]),
        f"sweeps          {clustering.n_iter}",
        f"unsettled       {clustering.n_unsettled:,}",
        f"promoted        {clustering.n_promoted:,}  (for points with no edge to an exemplar)",
        f"seconds         {seconds:.1f}",
    ]
    if clustering.mostly_tiny:
        lines.append(
            "clusters        mostly tiny: right for representatives, too small for groups; sparse-ap tree "
            "has groups of every size"
        )
    if clustering.outcome is Outcome.GROUPED:
        lines.append("found by        the tree: fewer clusters than the edges allow (see sparse-ap tree)")
    if clustering.converged:
        return lines
    # Of groups, the run below them has not converged.
    grouped = clustering.outcome is Outcome.GROUPED
    outcome = Outcome.MAX_ITER_REACHED if grouped else clustering.outcome
    return [*lines, f"outcome         {outcome.value}"]


def _net_line(clustering: Clustering) -> list[str]:
    if clustering.outcome is Outcome.GROUPED:
        return []
    return [
        f"net similarity  {clustering.net_similarity:.8g}  (data {clustering.data_similarity:.8g}, "
        f"preferences {clustering.exemplar_preference:.8g})"
    ]


def _weights_line(clustering: Clustering) -> list[str]:
    sizes = clustering.weighted_sizes
    if sizes is None:
        return []
    return [f"weights         {sizes.sum():.8g} in all, largest cluster {sizes.max(initial=0):.8g}"]
