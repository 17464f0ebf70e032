"""Pictures of runs: which curves are drawn, and what is written at them."""

from __future__ import annotations

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

from sparse_ap import InvalidInputError, MissingDependencyError, SweepReport, affinity_propagation
from sparse_ap.plotting import plot_convergence
from sparse_ap.plotting.colours import ON_DARK, ON_LIGHT

counts = st.integers(0, 10**7)
NAMES = ["exemplars", "unsettled", "changed in the sweep", "clusters returned"]


def run_of(reports: list[tuple[int, int, int]], n_clusters: int = 3) -> SimpleNamespace:
    history = tuple(SweepReport(sweep, *report) for sweep, report in enumerate(reports, start=1))
    return SimpleNamespace(history=history, n_clusters=n_clusters)


def new_axes() -> Any:
    return Figure(figsize=(5, 3)).add_subplot()


@examples(30)
@given(st.lists(st.tuples(counts, counts, counts), min_size=1, max_size=40), counts)
def test_every_count_of_every_sweep_is_drawn(reports: list[tuple[int, int, int]], n_clusters: int) -> None:
    axes = plot_convergence(run_of(reports, n_clusters), ax=new_axes())
    *curves, returned = axes.lines
    sweeps = np.arange(1, len(reports) + 1)
    exemplars, changed, unsettled = np.transpose(reports)
    for curve, values in zip(curves, (exemplars, unsettled, changed), strict=True):
        np.testing.assert_array_equal(curve.get_xydata(), np.column_stack([sweeps, values]))
    assert returned.get_xydata().tolist() == [[len(reports), n_clusters]]
    # A curve of one sweep is nothing but its dot.
    assert {curve.get_marker() for curve in curves} == {"o" if len(reports) <= 30 else ""}
    assert axes.get_ylim()[0] < 0
    assert axes.get_ylim()[1] >= max(map(max, reports))


def test_curves_and_axes_are_named() -> None:
    axes = plot_convergence(run_of([(1, 1, 1), (50_000, 2000, 30), (40_000, 0, 0)]), ax=new_axes())
    axes.figure.canvas.draw()
    assert [line.get_label() for line in axes.lines] == NAMES
    assert [text.get_text() for text in axes.get_legend().get_texts()] == NAMES
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("sweep", "points")
    written = [text.get_text() for text in axes.get_yticklabels()]
    assert written == ["0", "1", "10", "100", "1,000", "10,000", *written[6:]]
    # All that is on the axis of sweeps is whole numbers.
    assert {float(place).is_integer() for place in axes.get_xticks()} == {True}


def test_the_history_of_a_run(knn: Any) -> None:
    clustering = affinity_propagation(knn, preference=-0.02)
    exemplars, unsettled, _, returned = plot_convergence(clustering, ax=new_axes()).lines
    assert exemplars.get_ydata().tolist() == [report.n_exemplars for report in clustering.history]
    assert unsettled.get_ydata()[-1] == clustering.n_unsettled
    assert returned.get_ydata().tolist() == [clustering.n_clusters]


def test_without_a_sweep_there_are_words() -> None:
    alike = np.ones((5, 5))
    with pytest.warns(UserWarning, match="mutually equal"):
        clustering = affinity_propagation(alike, preference=1.0)
    axes = plot_convergence(clustering, ax=new_axes())
    assert not axes.lines
    assert [text.get_text() for text in axes.texts] == ["no sweep was made"]


def test_colours_suit_the_ground() -> None:
    for ground, palette, ink in (("black", ON_DARK, "#ffffff"), ("white", ON_LIGHT, "#000000")):
        axes = new_axes()
        axes.set_facecolor(ground)
        *curves, returned = plot_convergence(run_of([(3, 2, 1)]), ax=axes).lines
        colours = [to_hex(curve.get_color()) for curve in curves]
        assert len(set(colours)) == 3
        assert set(colours) <= set(palette)
        assert to_hex(returned.get_markeredgecolor()) == ink


def test_new_axes_are_pyplots() -> None:
    from matplotlib import pyplot

    axes = plot_convergence(run_of([(3, 2, 1)]))
    assert pyplot.gcf() is axes.figure
    pyplot.close(axes.figure)


def test_what_has_no_history_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        plot_convergence(SimpleNamespace(labels=[0], exemplars=[0]))
    assert str(caught.value) == (
        "The clustering is a SimpleNamespace; what affinity_propagation returns is needed, or a fitted "
        "estimator's clustering_."
    )


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError) as caught:
        plot_convergence(run_of([(3, 2, 1)]))
    assert str(caught.value) == (
        "plot_convergence needs matplotlib, which is not installed: pip install 'sparse-ap[plot]'"
    )
