"""Pictures of clusterings: what is drawn where, in which colour, and what is refused."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from sparse_ap import AffinityPropagation, MissingDependencyError, affinity_propagation
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs import knn_graph
from sparse_ap.plotting import plot_clustering
from sparse_ap.plotting.clustering import RASTERISED_FROM
from sparse_ap.plotting.colours import ON_DARK, ON_LIGHT, spread_colours

SQUARE = np.array([[0.0, 0], [1, 0], [0, 1], [9, 9]])
# Point 0 represents the first three, point 3 only itself.
SQUARE_CLUSTERING = SimpleNamespace(labels=np.array([0, 0, 0, 1]), exemplars=np.array([0, 3]))


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    """Draw into memory, and see that no test leaves a figure open."""
    with mpl.rc_context({"backend": "agg"}):
        before = pyplot.get_fignums()
        yield
        assert pyplot.get_fignums() == before


def new_axes() -> Any:
    return Figure().add_subplot()


def lines_of(axes: Any) -> LineCollection:
    (lines,) = (artist for artist in axes.collections if isinstance(artist, LineCollection))
    return lines


def dots_of(axes: Any) -> tuple[PathCollection, PathCollection, PathCollection]:
    """Return the members, the points that are alone, and the ringed exemplars."""
    members, alone, exemplars = (artist for artist in axes.collections if isinstance(artist, PathCollection))
    return members, alone, exemplars


def nearest_of(points: np.ndarray, exemplars: np.ndarray) -> SimpleNamespace:
    """Return the clustering of points by the nearest of some."""
    return SimpleNamespace(labels=cKDTree(points[exemplars]).query(points)[1], exemplars=exemplars)


@st.composite
def webs(draw: st.DrawFn) -> tuple[np.ndarray, SimpleNamespace]:
    """Draw distinct points of the plane and a clustering of them, every exemplar its own."""
    n_points = draw(st.integers(1, 60))
    n_clusters = draw(st.integers(1, n_points))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    exemplars = np.sort(rng.choice(n_points, n_clusters, replace=False))
    labels = rng.integers(n_clusters, size=n_points)
    labels[exemplars] = np.arange(n_clusters)
    points = rng.normal(scale=10.0 ** rng.integers(-3, 4), size=(n_points, 2))
    return points, SimpleNamespace(labels=labels, exemplars=exemplars)


@given(webs())
def test_each_member_is_joined_with_its_exemplar_in_one_colour(
    web: tuple[np.ndarray, SimpleNamespace],
) -> None:
    points, clustering = web
    labels, exemplars = clustering.labels, clustering.exemplars
    axes = plot_clustering(points, clustering, ax=new_axes())
    lines, (members, alone, ringed) = lines_of(axes), dots_of(axes)
    joined = np.setdiff1d(np.arange(len(points)), exemplars)
    segments = np.array(lines.get_segments()).reshape(-1, 2, 2)
    np.testing.assert_array_equal(segments[:, 0], points[joined])
    np.testing.assert_array_equal(segments[:, 1], points[exemplars[labels[joined]]])
    np.testing.assert_array_equal(members.get_offsets(), points[joined])
    by_itself = np.bincount(labels, minlength=len(exemplars)) == 1
    np.testing.assert_array_equal(alone.get_offsets(), points[exemplars[by_itself]])
    np.testing.assert_array_equal(ringed.get_offsets(), points[exemplars[~by_itself]])
    # A collection of nothing still has a default colour.
    colour = np.zeros((len(exemplars), 3))
    colour[~by_itself] = ringed.get_facecolor()[:, :3]
    np.testing.assert_array_equal(members.get_facecolor()[: len(joined), :3], colour[labels[joined]])
    np.testing.assert_array_equal(lines.get_color()[: len(joined), :3], colour[labels[joined]])


def test_exemplars_are_ringed_and_larger_and_the_lonely_are_faint() -> None:
    members, alone, ringed = dots_of(plot_clustering(SQUARE, SQUARE_CLUSTERING, ax=new_axes()))
    assert ringed.get_sizes()[0] > 2 * members.get_sizes()[0]
    assert to_hex(ringed.get_edgecolor()[0]) == "#000000"
    assert ringed.get_linewidth()[0] > 0.5
    assert alone.get_alpha() < 1.0
    assert np.ptp(alone.get_facecolor()[0, :3]) == 0.0
    assert alone.get_sizes()[0] == members.get_sizes()[0]


def test_colours_suit_the_ground() -> None:
    dark, clear_on_dark, light = (new_axes() for _ in range(3))
    dark.set_facecolor("#101010")
    clear_on_dark.set_facecolor("none")
    clear_on_dark.figure.set_facecolor("black")
    grounds = {dark: ON_DARK, clear_on_dark: ON_DARK, light: ON_LIGHT}
    for axes, palette in grounds.items():
        _, _, ringed = dots_of(plot_clustering(SQUARE, SQUARE_CLUSTERING, ax=axes))
        assert to_hex(ringed.get_facecolor()[0]) in palette
        assert to_hex(ringed.get_edgecolor()[0]) == ("#ffffff" if palette is ON_DARK else "#000000")


def test_many_points_are_finer_and_rasterised() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((RASTERISED_FROM, 2))
    many = plot_clustering(points, nearest_of(points, np.arange(0, RASTERISED_FROM, 50)), ax=new_axes())
    few = plot_clustering(points[:500], nearest_of(points[:500], np.arange(0, 500, 50)), ax=new_axes())
    assert all(artist.get_rasterized() for artist in many.collections)
    assert not any(artist.get_rasterized() for artist in few.collections)
    assert lines_of(many).get_linewidth()[0] < lines_of(few).get_linewidth()[0]
    for fine, coarse in zip(dots_of(many), dots_of(few), strict=True):
        assert fine.get_sizes()[0] < coarse.get_sizes()[0]


def test_dots_shrink_where_little_of_the_plane_is_covered() -> None:
    rng = np.random.default_rng(0)
    spread = rng.random((2000, 2))
    lumps = np.round(10 * spread) + 0.01 * spread
    exemplars = np.arange(0, 2000, 20)
    loose, tight = (
        dots_of(plot_clustering(points, nearest_of(points, exemplars), ax=new_axes()))[0].get_sizes()[0]
        for points in (spread, lumps)
    )
    assert tight < loose


def test_the_callers_axes_are_used_and_pyplot_is_left_alone() -> None:
    figure = Figure()
    left, right = figure.subplots(ncols=2, sharex=True, sharey=True)
    before = pyplot.get_fignums()
    assert plot_clustering(SQUARE, SQUARE_CLUSTERING, ax=right, title="Four points") is right
    assert pyplot.get_fignums() == before
    assert not left.collections
    assert right.get_aspect() == 1.0
    assert (left.get_title("left"), right.get_title("left")) == ("", "Four points")
    figure.canvas.draw()


def test_pyplot_is_not_even_imported_for_the_callers_axes() -> None:
    code = (
        "import sys; from matplotlib.figure import Figure; from types import SimpleNamespace as C;"
        "from sparse_ap.plotting import plot_clustering;"
        "plot_clustering([[0, 0], [1, 1]], C(labels=[0, 0], exemplars=[0]), ax=Figure().add_subplot());"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_new_axes_are_pyplots() -> None:
    axes = plot_clustering(SQUARE, SQUARE_CLUSTERING)
    assert pyplot.gcf() is axes.figure
    pyplot.close(axes.figure)


def test_the_title_says_what_is_seen() -> None:
    few = plot_clustering(SQUARE, SQUARE_CLUSTERING, ax=new_axes())
    assert few.get_title("left") == "2 clusters of 4 points, each joined with its exemplar"
    assert plot_clustering(SQUARE, SQUARE_CLUSTERING, ax=new_axes(), title="").get_title("left") == ""
    points = np.random.default_rng(0).random((2000, 2))
    many = plot_clustering(points, nearest_of(points, np.arange(0, 2000, 5)), ax=new_axes())
    assert many.get_title("left") == (
        "400 clusters of 2,000 points: too many to tell apart.\nA hierarchy's cut_exactly(20) has fewer."
    )


def test_coordinates_have_no_numbers() -> None:
    axes = plot_clustering(SQUARE, SQUARE_CLUSTERING, ax=new_axes())
    assert not [*axes.get_xticks(), *axes.get_yticks()]


def test_the_exemplars_of_the_largest_clusters_have_names() -> None:
    points = np.random.default_rng(0).random((500, 2))
    clustering = nearest_of(points, np.arange(0, 500, 10))
    axes = plot_clustering(points, clustering, ax=new_axes(), names=[f"${i}" for i in range(500)])
    largest = np.argsort(-np.bincount(clustering.labels), kind="stable")[:20]
    assert [text.get_text() for text in axes.texts] == [f"${10 * cluster}" for cluster in largest]
    np.testing.assert_array_equal([text.xy for text in axes.texts], points[10 * largest])
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_visible()]
    assert len(boxes) > 10
    assert axes.texts[0].get_visible()
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    frame = axes.get_window_extent()
    assert all(frame.x0 <= box.x0 < box.x1 <= frame.x1 for box in boxes)
    # Nor in a file with more dots per inch, such as savefig writes.
    axes.figure.set_dpi(3 * axes.figure.dpi)
    axes.figure.draw_without_rendering()
    larger = [text.get_window_extent() for text in axes.texts if text.get_visible()]
    for box, of_more in zip(boxes, larger, strict=True):
        assert of_more.get_points() == pytest.approx(3 * box.get_points(), abs=8)
    with pytest.raises(InvalidInputError, match=r"The names have the shape \(3,\), and there are 500 points"):
        plot_clustering(points, clustering, ax=new_axes(), names=["a", "b", "c"])


def test_everything_is_in_view() -> None:
    axes = plot_clustering(SQUARE, SQUARE_CLUSTERING, ax=new_axes())
    for limits in (axes.get_xlim(), axes.get_ylim()):
        assert limits[0] < 0.0
        assert limits[1] > 9.0


def test_colours_of_lines_can_be_seen() -> None:
    """In the pixels themselves: each cluster's colour covers some of them, and most stay white."""
    points = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [0, 8], [1, 8]])
    figure = Figure(figsize=(4, 3), dpi=100)
    axes = figure.add_subplot()
    axes.set_axis_off()
    clustering = SimpleNamespace(labels=np.arange(6) // 2, exemplars=np.array([0, 2, 4]))
    ringed = dots_of(plot_clustering(points, clustering, ax=axes))[2]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].reshape(-1, 3)
    for colour in ringed.get_facecolor():
        assert (np.abs(pixels - 255.0 * colour[:3]).max(axis=1) < 2.0).sum() > 10
    assert (pixels == 255).all(axis=1).mean() > 0.9


def test_what_the_package_returns_can_be_drawn() -> None:
    points = np.random.default_rng(0).normal(size=(200, 2))
    clustering = affinity_propagation(knn_graph(points, 20), preference=-5)
    estimator = AffinityPropagation(n_neighbors=20, preference=-5).fit(points)
    for result in (clustering, estimator.clustering_):
        axes = plot_clustering(points, result, ax=new_axes())
        assert len(lines_of(axes).get_segments()) == 200 - result.n_clusters


def test_no_points_are_an_empty_picture() -> None:
    nothing = SimpleNamespace(labels=np.empty(0, dtype=np.int64), exemplars=np.empty(0, dtype=np.int64))
    axes = plot_clustering(np.empty((0, 2)), nothing, ax=new_axes())
    axes.figure.canvas.draw()
    assert len(lines_of(axes).get_segments()) == 0


@pytest.mark.parametrize(
    ("points", "clustering", "message"),
    [
        (
            np.zeros((4, 3)),
            SQUARE_CLUSTERING,
            "The points have the shape (4, 3); (n_points, 2) is needed to draw them. Give two of their "
            "columns, or an embedding in the plane, such as UMAP or two principal components.",
        ),
        (
            np.zeros((3, 2)),
            SQUARE_CLUSTERING,
            "There are 3 points, but the clustering is of 4; those that were clustered are needed, in the "
            "same order.",
        ),
        (
            [[0, 0], [1, np.nan], [2, 2], [np.inf, 3]],
            SQUARE_CLUSTERING,
            "2 points have a coordinate that is NaN or infinite, first point 1; finite "
            "coordinates are needed.",
        ),
        (
            [["a", "b"]] * 4,
            SQUARE_CLUSTERING,
            "The points cannot be read as numbers (could not convert string to float: 'a'); an array of "
            "shape (n_points, 2) is needed.",
        ),
        (
            SQUARE,
            np.array([0, 0, 0, 1]),
            "The clustering is a ndarray; what affinity_propagation returns is needed, or a fitted "
            "estimator's clustering_.",
        ),
        (
            SQUARE,
            SimpleNamespace(labels=[-2, 0, 0, 1], exemplars=[0, 3]),
            "The labels run from -2 to 1; positions in the 2 exemplars are needed, from 0 on, or -1 for a "
            "point that nobody represents.",
        ),
    ],
)
def test_wrong_input_is_refused_before_a_figure_is_made(points: Any, clustering: Any, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        plot_clustering(points, clustering)
    assert str(caught.value) == message


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError) as caught:
        plot_clustering(SQUARE, SQUARE_CLUSTERING)
    assert str(caught.value) == (
        "plot_clustering needs matplotlib, which is not installed: pip install 'sparse-ap[plot]'"
    )


@pytest.mark.parametrize("n_dimensions", [2, 3])
def test_neighbours_differ_in_colour(n_dimensions: int) -> None:
    points = np.random.default_rng(0).normal(size=(3000, n_dimensions))
    colours = spread_colours(points, len(ON_LIGHT))
    _, near = cKDTree(points).query(points, k=4)
    assert (colours[near[:, 1:]] != colours[:, None]).mean() > 0.99
    assert np.bincount(colours, minlength=len(ON_LIGHT)).min() > 3000 // len(ON_LIGHT) // 2


@given(st.integers(0, 12), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_no_colour_comes_twice_while_there_are_others(n_points: int, n_colours: int, seed: int) -> None:
    colours = spread_colours(np.random.default_rng(seed).integers(4, size=(n_points, 2)) * 1.0, n_colours)
    assert len(colours) == n_points
    assert len(set(colours.tolist())) == min(n_points, n_colours)


def test_palettes_have_the_same_hues() -> None:
    assert len(set(ON_DARK)) == len(ON_DARK) == len(ON_LIGHT) == len(set(ON_LIGHT))
    for dark, light in zip(ON_DARK, ON_LIGHT, strict=True):
        assert sum(to_rgba(dark)[:3]) > sum(to_rgba(light)[:3])
