"""Pictures of very many points: what the pixels hold, and that nobody is left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from sparse_ap.plotting import clustering as plotting
from sparse_ap.plotting import plot_clustering
from sparse_ap.plotting.pixels import PER_INCH, draw_pixels

RED, BLUE = (1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)


def drawn(points: Any, ends: Any, colours: Any, dot: float = 0.2, line: float = 0.1) -> Any:
    axes = Figure(figsize=(2, 2)).add_subplot()
    draw_pixels(axes, *(np.asarray(values, dtype=float) for values in (points, ends, colours)), dot, line)
    (image,) = axes.images
    return image


def at(image: Any, places: Any) -> Any:
    """Return red, green, blue and opacity where these places are."""
    left, right, bottom, top = image.get_extent()
    pixels = np.asarray(image.get_array())
    shares = (np.asarray(places, dtype=float) - (left, bottom)) / (right - left, top - bottom)
    columns, rows = np.floor(shares * pixels.shape[1::-1] + 1e-9).astype(int).T
    return pixels[np.minimum(rows, pixels.shape[0] - 1), np.minimum(columns, pixels.shape[1] - 1)]


@examples(30)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 1.0, 1e6]))
def test_every_point_is_seen_and_no_colour_is_new(n_points: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    points, ends = scale * rng.normal(size=(2, n_points, 2))
    image = drawn(points, ends, np.where(rng.random(n_points)[:, None] < 0.5, RED, BLUE))
    pixels = np.asarray(image.get_array())
    least = 1.0 - np.exp(-0.2 * (PER_INCH / 72) ** 2)
    assert (at(image, points)[:, 3] > least - 1e-9).all()
    seen = pixels[pixels[..., 3] > 0]
    np.testing.assert_allclose(seen[:, 0] + seen[:, 2], 1.0, rtol=1e-9)
    assert not seen[:, 1].any()


def test_lines_lead_to_their_ends_and_mix_where_they_cross() -> None:
    image = drawn([[0, 0], [1, 0]], [[1, 1], [0, 1]], [RED, BLUE], line=2.0)
    pixels = np.asarray(image.get_array())
    red = pixels[(pixels[..., 3] > 0) & (pixels[..., 0] == 1.0)]
    assert len(red) >= 8
    shares = np.linspace(0.1, 0.9, 400)[:, None]
    on_the_first = at(image, shares * [1, 1])
    assert (on_the_first[:, 3] > 0).sum() >= 10


def test_two_points_in_a_pixel_are_mixed_and_more_opaque() -> None:
    places = [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    image = drawn(places, places, [RED, BLUE, RED])
    both, _, alone = at(image, places)
    weight = 0.2 * (PER_INCH / 72) ** 2
    np.testing.assert_allclose(both, [0.5, 0.0, 0.5, 1.0 - np.exp(-2 * weight)])
    np.testing.assert_allclose(alone, [1.0, 0.0, 0.0, 1.0 - np.exp(-weight)])


@pytest.mark.parametrize("points", [np.zeros((3, 2)), np.array([[0.0, 5], [1, 5], [2, 5]])])
def test_points_that_fill_no_area(points: np.ndarray) -> None:
    assert (at(drawn(points, points, [RED] * 3), points)[:, 3] > 0).all()


def test_a_clustering_of_many_is_an_image_with_its_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotting, "PIXELS_FROM", 5)
    points = np.array([[0.0, 0], [1, 0], [0, 1], [9, 9], [9, 8], [5, 5]])
    clustering = SimpleNamespace(labels=np.array([0, 0, 0, 1, 1, 2]), exemplars=np.array([0, 3, 5]))
    figure = Figure(figsize=(4, 4))
    FigureCanvasAgg(figure)
    axes = plot_clustering(points, clustering, ax=figure.add_subplot())
    figure.canvas.draw()
    assert not [artist for artist in axes.collections if isinstance(artist, LineCollection)]
    (image,) = axes.images
    alone, ringed = axes.collections
    np.testing.assert_array_equal(alone.get_offsets(), [[5, 5]])
    np.testing.assert_array_equal(ringed.get_offsets(), [[0, 0], [9, 9]])
    colours = ringed.get_facecolor()[[0, 0, 1], :3]
    np.testing.assert_allclose(at(image, points[[1, 2, 4]])[:, :3], colours)
    for limits in (axes.get_xlim(), axes.get_ylim()):
        assert limits[0] < 0.0
        assert limits[1] > 9.0
    assert axes.get_aspect() == 1.0


def test_many_who_are_all_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotting, "PIXELS_FROM", 3)
    everyone = np.arange(4)
    axes = plot_clustering(
        np.eye(4)[:, :2], SimpleNamespace(labels=everyone, exemplars=everyone), ax=Figure().add_subplot()
    )
    assert not axes.images
    assert len(axes.collections[0].get_offsets()) == 4
