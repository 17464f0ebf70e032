"""What a report shows of a hierarchy, and of a cut of one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.plotting.html_parts import N_LISTED, Names, evenly, largest_told, picture, table
from sparse_ap.plotting.tree import MOST, lifetime, plot_tree, readable_level

__all__ = ["cut_table", "tree_body", "tree_figures"]

_N_FACES = 5
"""Representatives shown of a group."""


def tree_figures(tree: Hierarchy) -> dict[str, str | None]:
    """Return the figures at the top of the page about a hierarchy."""
    return {
        "points": f"{len(tree.labels(0)):,}",
        "levels": f"{tree.n_levels}",
        "clusters": " › ".join(f"{n:,}" for n in tree.n_clusters),
    }


def tree_body(tree: Hierarchy, names: Names) -> str:
    """Return the levels, a picture of the tree, and the largest groups of the level drawn."""
    level = readable_level(tree)
    n_groups = int(tree.n_clusters[level])
    heading = largest_told(n_groups, f"groups of level {level}")
    drawn = ""
    if 0 < n_groups <= MOST:
        told = f"The tree above level {level}. Numbers after names are those of points."
        plot = partial(plot_tree, level=level, names=names.given)
        drawn = f"<h2>The tree</h2>\n{picture(plot, tree, told, (8.0, 1.5 + 0.2 * n_groups))}\n"
    return (
        f"<h2>The levels</h2>\n{_levels(tree)}\n{_LIVES}\n{drawn}"
        f"<h2>{heading}</h2>\n{_groups(tree, level, names)}"
    )


_LIVES = (
    "<p>A cluster lives between two resolutions γ: below the first it gains by merging with another, above "
    "the second by letting a part go; one that no resolution keeps is never the best. Of a level, by the "
    "medians over all points; a wide range says that the groups are there in the data.</p>"
)


def _levels(tree: Hierarchy) -> str:
    columns = {
        "level": True, "clusters": True, "median size": True, "largest": True, "edges inside": True,
        "lives between γ": True,
    }  # fmt: skip
    every = [tree.sizes(level) for level in range(tree.n_levels)]
    medians = evenly([float(np.median(sizes)) if len(sizes) else None for sizes in every])
    rows = [
        (
            f"{level}", f"{len(sizes):,}", medians[level],
            f"{sizes.max(initial=0):,}", f"{tree.inner_share[level]:.1%}", lifetime(lives),
        )
        for level, (sizes, lives) in enumerate(zip(every, tree.lives, strict=True))
    ]  # fmt: skip
    return table(columns, rows)


def _groups(tree: Hierarchy, level: int, names: Names) -> str:
    sizes, lives, faces = tree.sizes(level), tree.persistence(level), tree.representatives(level, _N_FACES)
    order = np.argsort(-sizes, kind="stable")[:N_LISTED]
    columns = {"exemplar": False, "points": True, "also represented by": False, "lives between γ": True}
    return table(
        columns,
        (
            (
                names[faces[k, 0]],
                f"{sizes[k]:,}",
                ", ".join(names[point] for point in faces[k, 1:] if point >= 0) or "–",
                lifetime(lives[k]),
            )
            for k in order
        ),
    )


def cut_table(cut: Cut, names: Names) -> str:
    """Return the largest clusters of a cut."""
    sizes: Any = cut.sizes
    order = np.argsort(-sizes, kind="stable")[:N_LISTED]
    rows = ((names[cut.exemplars[k]], f"{sizes[k]:,}") for k in order)
    return (
        f"<h2>{largest_told(cut.n_clusters, 'clusters')}</h2>\n"
        f"{table({'exemplar': False, 'points': True}, rows)}"
    )
