"""Pictures of hierarchies: which lines lead where, what is written beside them, what is refused."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import scipy.sparse
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sparse_ap import Clustering, Hierarchy, InvalidInputError, MissingDependencyError, Outcome, hierarchy
from sparse_ap.graphs import knn_graph
from sparse_ap.plotting import plot_tree
from sparse_ap.plotting.colours import ON_DARK, ON_LIGHT

NAMES = [f"point {i}" for i in range(10)]


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    """Draw into memory, and close what a test has opened."""
    with mpl.rc_context({"backend": "agg"}):
        yield
        pyplot.close("all")


def clustering(labels: Any, exemplars: Any) -> Clustering:
    labels, exemplars = np.array(labels, np.int64), np.array(exemplars, np.int64)
    zeros = np.zeros(len(labels), np.float32)
    return Clustering(
        labels=labels, exemplars=exemplars, similarities=zeros, net_similarity=0.0, data_similarity=0.0,
        exemplar_preference=0.0, n_iter=0, converged=True, outcome=Outcome.CONVERGED, n_unsettled=0,
        n_promoted=0, history=(), preference=0.0,
    )  # fmt: skip


def tree_of(*levels: tuple[Any, Any]) -> Hierarchy:
    """Return a hierarchy of these labels and exemplars, those of the points first."""
    clusterings = tuple(clustering(*level) for level in levels)
    graphs = tuple(
        scipy.sparse.csr_array((c.n_clusters, c.n_clusters), dtype=np.float32) for c in clusterings
    )
    return Hierarchy(clusterings, graphs, np.zeros(len(levels), np.int64), 0)


# Exemplars 1, 4, 5, 7, 9 of ten points; 4 stands for 1, and 7 for 5 and 9; at last 4 for all.
TEN = tree_of(
    ([0, 0, 0, 1, 1, 2, 2, 3, 3, 4], [1, 4, 5, 7, 9]), ([0, 0, 1, 1, 1], [1, 3]), ([0, 0], [0])
)  # fmt: skip


def drawn(tree: Hierarchy, level: int | None = None, **options: Any) -> Any:
    axes = plot_tree(tree, level, ax=Figure(figsize=(8, 6)).add_subplot(), **options)
    FigureCanvasAgg(axes.figure).draw()
    return axes


def labels_of(axes: Any) -> list[str]:
    """Return what is written beside the leaves, from top to bottom."""
    low, high = axes.get_ylim()
    assert low > high
    return [label.get_text() for label in axes.get_yticklabels()]


def levels_of(axes: Any) -> list[str]:
    """Return what is written below the levels, from right to left."""
    low, high = axes.get_xlim()
    assert low > high
    return [label.get_text() for label in axes.get_xticklabels()]


def lines_of(axes: Any) -> list[LineCollection]:
    return [artist for artist in axes.collections if isinstance(artist, LineCollection)]


def dots_of(axes: Any) -> PathCollection:
    (dots,) = (artist for artist in axes.collections if isinstance(artist, PathCollection))
    return dots


def ways(lines: LineCollection) -> list[list[tuple[float, float]]]:
    """Return the corners of each line, from the top of the picture."""
    found = [[(float(x), float(y)) for x, y in path.vertices] for path in lines.get_paths()]
    return sorted(found, key=lambda way: way[0][1])


def test_lines_lead_from_each_exemplar_to_its_own() -> None:
    axes = drawn(TEN, names=NAMES)
    assert labels_of(axes) == ["point 4 (2)", "point 1 (3)", "point 7 (2)", "point 5 (2)", "point 9 (1)"]
    points, clusters, rest = map(ways, lines_of(axes))
    assert points == [
        [(0, 0), (1, 0), (1, 0)], [(0, 1), (1, 1), (1, 0)],
        [(0, 2), (1, 2), (1, 2)], [(0, 3), (1, 3), (1, 2)], [(0, 4), (1, 4), (1, 2)],
    ]  # fmt: skip
    assert clusters == [[(1, 0), (2, 0), (2, 0)], [(1, 2), (2, 2), (2, 0)]]
    assert rest == [[(2, 0), (2.5, 0), (2.5, 0)]]


def test_levels_are_numbered_with_their_clusters() -> None:
    axes = drawn(TEN)
    assert levels_of(axes) == ["level 0\n5 clusters", "level 1\n2 clusters", "level 2\n1 cluster"]
    assert axes.get_title("left") == "5 clusters of 10 points, joined into 2, 1"
    assert axes.get_xticks().tolist() == [0, 1, 2]


def test_levels_say_where_they_live_if_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    lives = np.array([[2.0, 300.0], [0.5, np.inf], [3.0, 2.0]])
    monkeypatch.setattr(Hierarchy, "lives", property(lambda _: lives))
    assert [told.partition("\n")[2].partition("\n")[2] for told in levels_of(drawn(TEN))] == [
        "γ 2 to 300", "γ from 0.5", "",
    ]  # fmt: skip


def test_without_names_points_are_numbers() -> None:
    assert labels_of(drawn(TEN, 1)) == ["4 (5)", "7 (5)"]


def test_lines_of_more_points_are_wider() -> None:
    points, clusters, rest = ([float(w) for w in lines.get_linewidths()] for lines in lines_of(drawn(TEN)))
    assert points[0] < points[1] == points[2] == points[4] < points[3] < clusters[0] == clusters[1] < rest[0]


def test_thirty_six_branches_differ_in_colour() -> None:
    many = np.arange(40)
    (lines,) = lines_of(drawn(tree_of((many, many))))
    colours = [to_hex(colour) for colour in lines.get_colors()][::-1]
    assert colours[:12] == list(ON_LIGHT)
    assert len(set(colours[:36])) == 36
    assert colours[36:] == colours[:4]


def test_areas_are_as_sizes() -> None:
    dots = dots_of(drawn(TEN))
    by_height = np.argsort(np.asarray(dots.get_offsets())[:, 1])
    areas = dots.get_sizes()[by_height]
    np.testing.assert_allclose(areas / areas[1], np.array([2, 3, 2, 2, 1]) / 3)
    assert set(np.asarray(dots.get_offsets())[:, 0]) == {0.0}


@pytest.mark.parametrize(
    ("ground", "palette", "ink"), [("white", ON_LIGHT, "black"), ("black", ON_DARK, "white")]
)
def test_colours_are_those_of_the_coarsest_level_with_several(ground: str, palette: Any, ink: str) -> None:
    axes = plot_tree(TEN, ax=Figure().add_subplot(facecolor=ground))
    points, clusters, rest = lines_of(axes)
    # From bottom to top, so that the nearest piece of a common way shows.
    assert [to_hex(colour) for colour in points.get_colors()] == [palette[1]] * 3 + [palette[0]] * 2
    assert [to_hex(colour) for colour in clusters.get_colors()] == [palette[1], palette[0]]
    assert to_hex(rest.get_colors()[0]) == to_hex(ink)


def test_of_one_level_and_one_cluster() -> None:
    axes = drawn(tree_of(([0, 0, 0], [2])), names=["a", "b", "c"])
    assert labels_of(axes) == ["c (3)"]
    assert levels_of(axes) == ["level 0\n1 cluster"]
    assert [ways(lines) for lines in lines_of(axes)] == [[[(0, 0), (0.5, 0), (0.5, 0)]]]


def test_several_roots_are_not_joined() -> None:
    two = tree_of(([0, 0, 1, 2], [0, 2, 3]), ([0, 0, 1], [0, 2]))
    axes = drawn(two)
    assert labels_of(axes) == ["0 (2)", "2 (1)", "3 (1)"]
    assert ways(lines_of(axes)[1]) == [[(1, 0), (1.5, 0), (1.5, 0)], [(1, 2), (1.5, 2), (1.5, 2)]]
    assert [to_hex(colour) for colour in lines_of(axes)[1].get_colors()] == [ON_LIGHT[1], ON_LIGHT[0]]


def test_of_a_single_point_and_of_no_point() -> None:
    assert labels_of(drawn(hierarchy(scipy.sparse.csr_array((1, 1))))) == ["0 (1)"]
    nothing = drawn(tree_of(([], [])))
    assert (labels_of(nothing), levels_of(nothing)) == ([], ["level 0\n0 clusters"])


def chain(*counts: int) -> Hierarchy:
    """Return a tree of so many points and clusters a level, alike in size, the first of each its exemplar."""
    labels = [np.arange(n) * k // n for n, k in itertools.pairwise(counts)]
    return tree_of(*((of, np.searchsorted(of, np.unique(of))) for of in labels))


def test_finest_readable_level_is_chosen() -> None:
    assert levels_of(drawn(chain(300, 250, 61, 60, 7))) == ["level 2\n60 clusters", "level 3\n7 clusters"]
    assert levels_of(drawn(chain(300, 250, 100))) == ["level 1\n100 clusters"]


@examples(30)
@given(st.integers(1, 300), st.integers(0, 2**32 - 1), st.integers(-1, 3))
def test_every_tree_has_lines_that_do_not_cross(n: int, seed: int, level: int) -> None:
    tree = random_tree(n, seed)
    level = min(level, tree.n_levels - 1)
    if tree.n_clusters[level] > 200:
        return
    axes = plot_tree(tree, level, ax=Figure().add_subplot())
    exemplars = [int(label.split()[0]) for label in labels_of(axes)]
    assert sorted(exemplars) == tree.exemplars(level).tolist()
    level %= tree.n_levels
    for coarser in range(level, tree.n_levels):
        own = tree.labels(coarser)[exemplars]
        # Leaves of one cluster are neighbours, its own exemplar's the first.
        starts = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
        assert [exemplars[i] for i in starts] == tree.exemplars(coarser)[own[starts]].tolist()
        assert len(starts) == tree.n_clusters[coarser]


def random_tree(n: int, seed: int) -> Hierarchy:
    rng = np.random.default_rng(seed)
    levels = []
    while n > 1 or not levels:
        exemplars = np.sort(rng.choice(n, rng.integers(1, max(2, n)), replace=False))
        labels = rng.integers(len(exemplars), size=n)
        labels[exemplars] = np.arange(len(exemplars))
        levels.append((labels, exemplars))
        n = len(exemplars)
    return tree_of(*levels)


def test_no_name_is_cut_however_long() -> None:
    names = [f"{'a long name ' * k}of {k}" for k in range(10)]
    axes = plot_tree(TEN, names=names)
    axes.figure.canvas.draw()
    inside = axes.figure.bbox
    for label in (*axes.get_yticklabels(), *axes.get_xticklabels()):
        box = label.get_window_extent()
        assert inside.x0 <= box.x0 < box.x1 <= inside.x1
        assert inside.y0 <= box.y0 < box.y1 <= inside.y1
    assert labels_of(axes)[-1] == f"{names[9]} (1)"


def test_names_do_not_overlap_and_levels_neither() -> None:
    tree = chain(400, 200, 150, 90, 40, 20, 5)
    for axes, n_leaves in ((plot_tree(tree, 0), 200), (drawn(tree, 2), 90)):
        axes.figure.canvas.draw()
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert len(boxes) == n_leaves
        assert all(lower.y1 <= upper.y0 for upper, lower in itertools.pairwise(boxes))
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert len(boxes) == len(levels_of(axes))
        assert all(left.x1 < right.x0 for right, left in itertools.pairwise(boxes))


def test_names_are_no_formulas() -> None:
    axes = drawn(TEN, 2, names=["$x_1$ $"] * 10)
    assert labels_of(axes) == ["$x_1$ $ (10)"]
    assert not axes.get_yticklabels()[0].get_parse_math()


def test_axes_of_a_figure_of_pyplots() -> None:
    axes = plot_tree(TEN)
    assert axes.figure is pyplot.gcf()
    given = Figure().add_subplot()
    assert plot_tree(TEN, ax=given) is given


def test_a_tree_of_points() -> None:
    points = np.random.default_rng(0).normal(size=(600, 2))
    tree = hierarchy(knn_graph(points, 10))
    axes = drawn(tree, names=[f"p{i}" for i in range(600)])
    level = next(k for k in range(tree.n_levels) if tree.n_clusters[k] <= 60)
    assert len(labels_of(axes)) == tree.n_clusters[level]
    assert sum(int(label.split("(")[1][:-1]) for label in labels_of(axes)) == 600


def refused(text: str) -> Any:
    return pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$")


def test_too_many_clusters_say_what_to_do() -> None:
    many = chain(1500, 500, 100)
    text = (
        "Level 0 has 500 clusters; a tree of at most 200 can be read. "
        "Give a coarser level: level=1 has 100."
    )  # fmt: skip
    for level in (0, -2):
        with refused(text):
            plot_tree(many, level)
    text = (
        "Level 0 has 201 clusters; a tree of at most 200 can be read. No level of this hierarchy has so few: "
        "allow more levels (max_levels), or link the parts of the graph with more edges."
    )
    with refused(text):
        plot_tree(chain(201, 201))


def test_what_is_no_hierarchy_is_refused() -> None:
    with refused("The hierarchy is a Clustering; what sparse_ap.hierarchy returns is needed."):
        plot_tree(TEN.clusterings[0])  # type: ignore[arg-type]
    with refused("level=3, but there are 3 levels: 0, the finest, to 2."):
        plot_tree(TEN, 3)


def test_names_must_be_those_of_the_points() -> None:
    text = (
        "The names have the shape (5,), and there are 10 points; one name a point is needed, in the same "
        "order."
    )
    with refused(text):
        plot_tree(TEN, names=NAMES[:5])
    assert pyplot.get_fignums() == []


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError) as caught:
        plot_tree(TEN)
    assert str(caught.value) == (
        "plot_tree needs matplotlib, which is not installed: pip install 'sparse-ap[plot]'"
    )
