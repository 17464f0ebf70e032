"""Pictures of cluster sizes: which bars stand where, on which scales."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sparse_ap import InvalidInputError, MissingDependencyError
from sparse_ap.plotting import plot_sizes
from sparse_ap.plotting.colours import ON_DARK, ON_LIGHT


def of_sizes(sizes: Any) -> SimpleNamespace:
    """Return a clustering with clusters of these sizes."""
    sizes = np.asarray(sizes, dtype=np.int64)
    ends = np.cumsum(sizes)
    return SimpleNamespace(labels=np.repeat(np.arange(len(sizes)), sizes), exemplars=ends - sizes)


def drawn(sizes: Any) -> Any:
    axes = plot_sizes(of_sizes(sizes), ax=Figure(figsize=(5, 3)).add_subplot())
    axes.figure.canvas.draw()
    return axes


def spans(axes: Any) -> list[tuple[float, float, int]]:
    """Return from where to where each bar reaches, and how high."""
    return [(bar.get_x(), bar.get_x() + bar.get_width(), int(bar.get_height())) for bar in axes.patches]


def ticks(axis: Any) -> list[str]:
    """Return what is written on an axis, where it can be seen."""
    low, high = sorted(axis.get_view_interval())
    return [
        text.get_text()
        for place, text in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        if low <= place <= high
    ]


@examples(30)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_few_clusters_are_a_bar_each_the_largest_first(sizes: list[int]) -> None:
    axes = plot_sizes(of_sizes(sizes), ax=Figure().add_subplot())
    assert [height for _, _, height in spans(axes)] == sorted(sizes, reverse=True)
    middles = [(left + right) / 2 for left, right, _ in spans(axes)]
    np.testing.assert_allclose(middles, np.arange(1, len(sizes) + 1))
    left, right = axes.get_xlim()
    assert left < min(x for x, _, _ in spans(axes)) < max(x for _, x, _ in spans(axes)) < right


@examples(30)
@given(st.lists(st.integers(1, 5000), min_size=31, max_size=200), st.sampled_from([1, 16, 5000]))
def test_of_many_every_cluster_is_counted_in_the_bar_of_its_size(sizes: list[int], most: int) -> None:
    sizes = [min(size, most) for size in sizes]
    axes = plot_sizes(of_sizes(sizes), ax=Figure().add_subplot())
    heights = [height for _, _, height in spans(axes)]
    if max(sizes) - min(sizes) < 16:
        assert heights == [sizes.count(size) for size in range(min(sizes), max(sizes) + 1)]
        return
    exponents = range(min(sizes).bit_length(), max(sizes).bit_length() + 1)
    assert heights == [sum(size.bit_length() == exponent for size in sizes) for exponent in exponents]


def test_few_are_labelled() -> None:
    axes = drawn([1200, 700, 900, 1])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("clusters, the largest first", "points in the cluster")
    assert [text.get_text() for text in axes.texts] == ["1,200", "900", "700", "1"]
    assert ticks(axes.xaxis) == ["1", "2", "3", "4"]
    assert "1,000" in ticks(axes.yaxis)
    assert axes.get_title("left") == "4 clusters of 2,801 points, 1 of them single points"
    assert drawn([3, 4]).get_title("left") == "2 clusters of 7 points"


def test_bars_of_all_magnitudes_begin_at_0_and_say_their_number() -> None:
    axes = drawn(np.repeat([1, 2, 3, 40, 70_000], [100_000, 4000, 2000, 300, 1]))
    assert axes.get_ylabel() == "clusters"
    assert axes.get_xlabel() == "points in a cluster"
    heights = [height for _, _, height in spans(axes)]
    assert heights == [100_000, 6000, 0, 0, 0, 300, *[0] * 10, 1]
    assert ticks(axes.xaxis)[:2] == ["1", "2–3"]
    for texts in (axes.xaxis.get_ticklabels(), [text for text in axes.texts if text.get_text()]):
        boxes = [text.get_window_extent() for text in texts]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    told = [text.get_text() for text in axes.texts]
    assert all(text in ("", f"{height:,}") for text, height in zip(told, heights, strict=True))
    assert [text for text in told if text] == ["100,000", "300", "1"]
    assert (axes.get_yscale(), axes.get_ylim()[0]) == ("linear", 0)


def test_one_size_is_one_bar_with_room_beside_it() -> None:
    axes = drawn([7] * 40)
    ((left, right, height),) = spans(axes)
    assert height == 40
    assert ticks(axes.xaxis) == ["7"]
    assert np.diff(axes.get_xlim()) > 2 * (right - left)


def test_nobody_is_an_empty_picture() -> None:
    axes = drawn([])
    assert not axes.patches
    assert axes.get_xlabel() == "clusters, the largest first"


def test_colours_suit_the_ground() -> None:
    for ground, palette in (("black", ON_DARK), ("white", ON_LIGHT)):
        for sizes in ([3, 4], np.arange(40) + 2):
            axes = Figure(facecolor=ground).add_subplot()
            axes.set_facecolor(ground)
            plot_sizes(of_sizes(sizes), ax=axes)
            assert {to_hex(bar.get_facecolor()) for bar in axes.patches} == {palette[1]}


def test_single_points_are_grey() -> None:
    for sizes in ([1, 3, 1], [1, *np.arange(40) + 1]):
        axes = drawn(sizes)
        grey = [to_hex(bar.get_facecolor()) == "#999999" for bar in axes.patches]
        assert grey == [False, True, True] if len(sizes) == 3 else grey[0] and not any(grey[1:])


def test_new_axes_are_pyplots() -> None:
    from matplotlib import pyplot

    axes = plot_sizes(of_sizes([3, 4]))
    assert pyplot.gcf() is axes.figure
    pyplot.close(axes.figure)


def test_what_is_no_clustering_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        plot_sizes([0, 0, 1])
    assert str(caught.value) == (
        "The clustering is a list; what affinity_propagation returns is needed, or a fitted estimator's "
        "clustering_."
    )


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError) as caught:
        plot_sizes(of_sizes([3]))
    assert str(caught.value) == (
        "plot_sizes needs matplotlib, which is not installed: pip install 'sparse-ap[plot]'"
    )
