"""Names of columns: of a clustering in an ``obs``, and of the levels and cuts of a hierarchy in any table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sparse_ap.clustering.tree import Cut, Hierarchy

__all__ = ["column_names", "cut_columns", "result_columns"]


def result_columns(column: str) -> list[str]:
    """Return the names of the columns of a clustering: exemplars, similarities, runner-ups, margins."""
    return [column, f"{column}_similarity", f"{column}_runner_up", f"{column}_margin"]


def column_names(level: str, clusters: str, n_levels: int, numbers: Iterable[int]) -> list[str]:
    """Return the names of table columns: ``<level>_0`` and so on for levels, ``<clusters>_<k>`` for cuts."""
    return [*(f"{level}_{which}" for which in range(n_levels)), *(f"{clusters}_{k}" for k in numbers)]


def cut_columns(tree: Hierarchy, level: str, clusters: str, exact: Sequence[Cut]) -> dict[str, Cut]:
    """Return the clustering for each column of a table, by the names of `column_names`."""
    names = column_names(level, clusters, tree.n_levels, (cut.n_clusters for cut in exact))
    return dict(zip(names, [*map(tree.level, range(tree.n_levels)), *exact], strict=True))
