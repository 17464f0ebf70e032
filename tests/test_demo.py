"""The demonstration: its data, its map and its table."""

import csv
import itertools
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from same_bits import printed_by

from sparse_ap import Hierarchy, hierarchy
from sparse_ap.cli.demo import run as demo_run
from sparse_ap.cli.demo.map import HEIGHT, WIDTH, Caption, blank_map, draw_map, say_where
from sparse_ap.cli.demo.places import (
    GRID,
    Places,
    arcs_over,
    great_circle_km,
    load_places,
    unit_vectors,
)
from sparse_ap.cli.demo.projection import CENTRAL_MERIDIAN, equal_earth, relative_longitude
from sparse_ap.cli.demo.regions import COLUMNS, Regions, measure_regions, write_table
from sparse_ap.cli.demo.tree_map import RING, Sheet, continent_level, draw_names, draw_tree
from sparse_ap.errors import MissingDependencyError
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.plotting.colours import ON_DARK
from sparse_ap.plotting.labels import Box, place_labels

# Hand-picked, so that what the regions measure can be told in advance: Reykjavík and two places near it,
# Wellington and one near it, and Apia on the other side of the map's edge.
CAPITALS = Places(
    names=("Reykjavík", "Kópavogur", "Akureyri", "Wellington", "Lower Hutt", "Apia"),
    countries=np.array(["IS", "IS", "IS", "NZ", "NZ", "WS"]),
    latitude=np.array([64.13548, 64.11234, 65.68353, -41.28664, -41.21667, -13.83333]),
    longitude=np.array([-21.89541, -21.91298, -18.0878, 174.77557, 174.91667, -171.76666]),
)


@pytest.fixture(scope="module")
def places() -> Places:
    return load_places()


@pytest.fixture
def regions() -> Regions:
    return measure_regions(CAPITALS, labels=np.array([0, 0, 0, 1, 1, 1]), exemplars=np.array([0, 3]))


def find(places: Places, name: str, country: str) -> int:
    return next(i for i, n in enumerate(places.names) if n == name and places.countries[i] == country)


def test_every_place_is_loaded_with_its_coordinates(places: Places) -> None:
    assert len(places) == len(places.names) == 171_075
    assert places.countries.shape == places.latitude.shape == places.longitude.shape == (171_075,)
    assert np.abs(places.latitude).max() < 90.0
    assert np.abs(places.longitude).max() <= 180.0
    assert all(places.names)


@pytest.mark.parametrize(
    ("name", "country", "latitude", "longitude"),
    [
        ("Reykjavík", "IS", 64.13548, -21.89541),
        ("Wellington", "NZ", -41.28664, 174.77557),
        ("Vila", "AD", 42.53176, 1.56654),
        ("Tokyo", "JP", 35.6895, 139.69171),
    ],
)
def test_known_places_are_where_they_are(
    places: Places, name: str, country: str, latitude: float, longitude: float
) -> None:
    found = find(places, name, country)
    # To the last of the five digits GeoNames gives.
    assert places.latitude[found] == pytest.approx(latitude, abs=5e-6)
    assert places.longitude[found] == pytest.approx(longitude, abs=5e-6)


def test_take_keeps_a_place_together(places: Places) -> None:
    wanted = np.array([find(places, "Tokyo", "JP"), find(places, "Vila", "AD")])
    taken = places.take(wanted)
    assert taken.names == ("Tokyo", "Vila")
    assert taken.countries.tolist() == ["JP", "AD"]
    np.testing.assert_array_equal(taken.latitude, places.latitude[wanted])


def test_unit_vectors_have_length_one(places: Places) -> None:
    vectors = unit_vectors(places)
    assert vectors.shape == (171_075, 3)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=GRID)


def test_no_place_is_near_the_middle_between_two_positions(places: Places) -> None:
    """Within 64 units in the last place of numbers near 1, where no sine or cosine is off by more than 4."""
    latitude, longitude = np.radians(places.latitude), np.radians(places.longitude)
    x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    exact = np.column_stack([x, y, np.sin(latitude)]) / GRID
    vectors = unit_vectors(places) / GRID
    assert (vectors == np.round(vectors)).all()
    assert np.abs(exact - vectors).max() < 0.5 - 64 * 2.0**-53 / GRID


def test_straight_distances_between_positions_are_exact(places: Places) -> None:
    """Squares of whole numbers up to 2**25, whose sums of three stay below 2**53."""
    vectors = unit_vectors(places)[:: len(places) // 1000]
    whole = (vectors / GRID).astype(np.int64)
    expected = ((whole[:, None] - whole) ** 2).sum(axis=2)
    squares = ((vectors[:, None] - vectors) ** 2).sum(axis=2)
    assert (squares / GRID**2 == expected).all()
    assert ((2 / GRID) ** 2) * 3 < 2**53


def test_lengths_of_arcs() -> None:
    chords = np.concatenate([np.geomspace(1e-9, 2.0, 5_000), [0.0, 2.0 + 1e-15]])
    expected = 2 * np.arcsin(np.minimum(chords / 2, 1))
    np.testing.assert_allclose(arcs_over(chords), expected, rtol=1e-11)


def test_unit_vectors_point_along_the_axes() -> None:
    corners = Places(
        ("Greenwich", "East", "Pole"), np.array(["", "", ""]), np.array([0.0, 0, 90]), np.array([0.0, 90, 0])
    )
    np.testing.assert_allclose(unit_vectors(corners), np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    ("start", "stop", "km"),
    [
        # Great-circle distances on the mean sphere, by the haversine formula.
        (("London", "GB"), ("Paris", "FR"), 343.6),
        (("Tokyo", "JP"), ("Sydney", "AU"), 7825.0),
        (("Wellington", "NZ"), ("Madrid", "ES"), 19_855.0),
    ],
)
def test_distances_between_cities(
    places: Places, start: tuple[str, str], stop: tuple[str, str], km: float
) -> None:
    ends = unit_vectors(places.take(np.array([find(places, *start), find(places, *stop)])))
    assert great_circle_km(ends[0], ends[1]) == pytest.approx(km, rel=0.002)


def test_distance_of_antipodes_is_half_the_circumference() -> None:
    north = np.array([0.0, 0.0, 1.0])
    assert great_circle_km(north, -north) == pytest.approx(np.pi * 6371.0088)
    assert great_circle_km(north, north) == 0.0


def test_projection_of_centre_and_poles() -> None:
    centre, north, south = equal_earth(np.array([0.0, 90.0, -90.0]), np.zeros(3))
    np.testing.assert_allclose(centre, [0.0, 0.0])
    # The published height and width of the map of a unit sphere.
    np.testing.assert_allclose(north, [0.0, 1.3173627591574], rtol=1e-12)
    np.testing.assert_allclose(south, -north)
    (edge,) = equal_earth(np.zeros(1), np.array([180.0]))
    np.testing.assert_allclose(edge, [2.7066299836960, 0.0], rtol=1e-12)


def test_projection_is_symmetric(places: Places) -> None:
    east = relative_longitude(places.longitude)
    points = equal_earth(places.latitude, east)
    np.testing.assert_allclose(equal_earth(-places.latitude, -east), -points, atol=1e-15)


def test_projection_keeps_areas() -> None:
    """A small rectangle of degrees, anywhere, covers as much of the map as it does of the sphere."""
    step = 1e-4
    latitude, east = np.array([-71.0, -20.0, 5.0, 48.0, 80.0]), np.array([-170.0, 3.0, 60.0, 100.0, 179.0])
    along = (equal_earth(latitude, east + step) - equal_earth(latitude, east - step)) / 2
    up = (equal_earth(latitude + step, east) - equal_earth(latitude - step, east)) / 2
    area = along[:, 0] * up[:, 1] - along[:, 1] * up[:, 0]
    np.testing.assert_allclose(area, np.radians(step) ** 2 * np.cos(np.radians(latitude)), rtol=1e-6)


def test_longitudes_wrap_at_the_edge_of_the_map() -> None:
    edge = CENTRAL_MERIDIAN - 180.0
    np.testing.assert_allclose(
        relative_longitude(np.array([CENTRAL_MERIDIAN, edge, edge - 1.0, edge + 361.0])),
        [0.0, -180.0, 179.0, -179.0],
    )


def test_labels_cover_neither_each_other_nor_the_frame() -> None:
    rng = np.random.default_rng(0)
    anchors = rng.uniform(0.0, 400.0, (200, 2))
    frame = Box(0.0, 0.0, 400.0, 400.0)
    placed = place_labels(anchors, [np.array([60.0, 12.0])] * 200, frame, gap=4.0, margin=3.0, limit=30)
    assert 10 < len(placed) <= 30
    assert placed[0].index == 0
    assert all(label.box.within(frame) for label in placed)
    assert not any(a.box.overlaps(b.box) for i, a in enumerate(placed) for b in placed[:i])


def test_names_of_parts_and_of_many_places_do_not_say_where(places: Places) -> None:
    names = ["Downtown", "Bern", "Zürich (Kreis 7) / Witikon", "Downtown", "Łódź"]
    assert say_where(names).tolist() == [False, True, False, False, True]
    assert "Downtown" not in np.array(places.names)[say_where(places.names)]


def test_label_limit_is_kept() -> None:
    anchors = np.column_stack([np.full(9, 50.0), np.arange(9) * 50.0 + 25.0])
    frame = Box(0.0, 0.0, 500.0, 500.0)
    placed = place_labels(anchors, [np.array([30.0, 10.0])] * 9, frame, gap=2.0, margin=1.0, limit=4)
    assert [label.index for label in placed] == [0, 1, 2, 3]


def test_labels_cover_no_mark() -> None:
    anchor, extent, frame = np.array([[50.0, 50.0]]), [np.array([30.0, 10.0])], Box(0.0, 0.0, 200.0, 100.0)
    mark = Box(60.0, 45.0, 5.0, 5.0)
    (beside,) = place_labels(anchor, extent, frame, gap=2.0, margin=1.0, limit=1, marks=[mark])
    assert beside.box == Box(18.0, 45.0, 30.0, 10.0)
    everywhere = [Box(0.0, 0.0, 200.0, 100.0)]
    assert place_labels(anchor, extent, frame, gap=2.0, margin=1.0, limit=1, marks=everywhere) == []


def test_regions_are_measured(regions: Regions) -> None:
    vectors = unit_vectors(CAPITALS)
    to_akureyri = great_circle_km(vectors[0], vectors[2])
    to_kopavogur = great_circle_km(vectors[0], vectors[1])
    assert regions.sizes.tolist() == [3, 3]
    assert regions.farthest_km[0] == pytest.approx(to_akureyri)
    assert regions.mean_km[0] == pytest.approx((0.0 + to_kopavogur + to_akureyri) / 3)


def test_table_has_a_line_a_region_largest_first(tmp_path: Path) -> None:
    labels, exemplars = np.array([0, 1, 1, 2, 2, 2]), np.array([0, 2, 3])
    write_table(measure_regions(CAPITALS, labels, exemplars), tmp_path / "clusters.csv")
    with (tmp_path / "clusters.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert [row[0] for row in rows] == ["Wellington", "Akureyri", "Reykjavík"]
    assert rows[2] == ["Reykjavík", "IS", "64.13548", "-21.89541", "1", "0.0", "0.0"]
    assert [int(row[4]) for row in rows] == [3, 2, 1]


def test_map_is_a_picture_of_the_size_it_says(regions: Regions, tmp_path: Path) -> None:
    from matplotlib.image import imread

    draw_map(regions, Caption("Six places", ("one fact",), "a note"), tmp_path / "map.png")
    picture = imread(tmp_path / "map.png")
    assert picture.shape[:2] == (HEIGHT, WIDTH)
    reds_greens_blues = picture[..., :3].reshape(-1, 3)
    coloured = np.ptp(reds_greens_blues, axis=1) > 0.5
    assert 20 < coloured.sum() < 5_000  # six dots and four lines of strong colour, and no line across the map
    assert (reds_greens_blues.min(axis=1) > 0.9).sum() > 200  # the title and two names in white


@pytest.fixture(scope="module")
def swiss(places: Places) -> tuple[Places, Hierarchy]:
    country = places.take(np.flatnonzero(places.countries == "CH"))
    return country, hierarchy(demo_run.great_circle_graph(country, 15, n_jobs=1), n_jobs=1)


def test_map_of_a_hierarchy_tells_the_coarsest_apart(swiss: tuple[Places, Hierarchy], tmp_path: Path) -> None:
    """Switzerland is a few pixels of the world: spread over it, its exemplars can be told apart."""
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    country, tree = swiss
    spread = replace(
        country, longitude=30 * (country.longitude - 8.2), latitude=40 * (country.latitude - 46.8)
    )
    draw_tree(spread, tree, Caption("Many places", ("one fact",), "a note"), tmp_path / "hierarchy.png")
    picture = imread(tmp_path / "hierarchy.png")
    assert picture.shape[:2] == (HEIGHT, WIDTH)
    coarsest = tree.exemplars(continent_level(tree))
    shown = picture[pixels_of(spread, coarsest)][:, :3]
    palette = np.array([to_rgb(colour) for colour in ON_DARK])
    nearest = np.abs(shown[:, None] - palette).max(axis=2)
    np.testing.assert_allclose(nearest.min(axis=1), 0, atol=0.01)
    assert len(set(nearest.argmin(axis=1))) == min(len(coarsest), len(ON_DARK))


def pixels_of(places: Places, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of the picture at which places lie."""
    axes = blank_map()
    axes.apply_aspect()
    where = equal_earth(places.latitude, relative_longitude(places.longitude))[points]
    x, y = axes.transData.transform(where).T
    return HEIGHT - 1 - y.astype(int), x.astype(int)


def test_names_on_the_map_of_a_hierarchy_cover_neither_each_other_nor_a_ring(
    swiss: tuple[Places, Hierarchy],
) -> None:
    country, tree = swiss
    spread = replace(
        country, longitude=30 * (country.longitude - 8.2), latitude=40 * (country.latitude - 46.8)
    )
    axes = blank_map()
    draw_names(axes, Sheet.of(spread, tree))
    # The rectangles around glyphs may be less than a pixel larger when they are drawn elsewhere.
    boxes = [Box(*text.get_window_extent().bounds).padded(-1) for text in axes.texts]
    level = continent_level(tree)
    assert tree.n_clusters[level] < len(boxes) <= tree.n_clusters[level - 1]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    where = axes.transData.transform(equal_earth(spread.latitude, relative_longitude(spread.longitude)))
    rings = [Box(x, y, 0, 0).padded(RING - 1) for x, y in where[tree.exemplars(level)]]
    assert not any(ring.overlaps(box) for ring in rings for box in boxes)
    named = {text.get_text() for text in axes.texts}
    assert {country.names[i] for i in tree.exemplars(level)} <= named
    assert named <= {country.names[i] for i in tree.exemplars(level - 1)}


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError) as caught:
        require_matplotlib("The map")
    expected = "The map needs matplotlib, which is not installed: pip install 'sparse-ap[plot]'"
    assert str(caught.value) == expected
    assert isinstance(caught.value, ImportError)


def test_missing_matplotlib_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError):
        demo_run.run_demo(tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_graph_holds_distances_along_the_surface(places: Places) -> None:
    iceland = places.take(np.flatnonzero(places.countries == "IS"))
    graph = demo_run.great_circle_graph(iceland, 10, n_jobs=1)
    rows = np.repeat(np.arange(len(iceland)), np.diff(graph.indptr))
    vectors = unit_vectors(iceland)
    assert graph.nnz == 10 * len(iceland)
    np.testing.assert_allclose(
        graph.data, -great_circle_km(vectors[rows], vectors[graph.indices]), rtol=1e-5, atol=1e-3
    )


def test_demonstration_of_one_country(places: Places, tmp_path: Path) -> None:
    """The whole way on real data, one country of it: the world takes half a minute."""
    country = places.take(np.flatnonzero(places.countries == "CH"))
    lines: list[str] = []
    demo_run.demonstrate(country, tmp_path, 40, -150.0, n_jobs=1, echo=lines.append)
    figures = {line[:16].strip(): line[17:] for line in lines}
    table = (tmp_path / "clusters.csv").read_text(encoding="utf-8").splitlines()
    n_exemplars = int(figures["exemplars"])
    assert (figures["places"], figures["edges"]) == (f"{len(country):,}", f"{40 * len(country):,}")
    assert 20 <= n_exemplars <= len(country) // 10
    cost, mean_km = 150.0 * n_exemplars, float(figures["mean distance"].split()[0])
    net_similarity = float(figures["net similarity"].replace(",", "").removesuffix(" km"))
    assert net_similarity == pytest.approx(-cost - mean_km * len(country), abs=0.06 * len(country))
    assert len(table) == 1 + n_exemplars
    assert (tmp_path / "map.png").stat().st_size > 10_000
    assert (tmp_path / "hierarchy.png").stat().st_size > 10_000
    levels = [int(number) for number in figures["levels"].split(" > ")]
    assert levels[0] == n_exemplars
    assert len(levels) > 1
    assert sorted(set(levels), reverse=True) == levels
    (n_continents,) = {n for n in levels if f"the {n}" in figures}
    continents = figures[f"the {n_continents}"].split(", ")
    assert len(continents) == n_continents
    assert set(continents) <= {line.split(",")[0] for line in table}
    assert "1,425 places" in lines[0]


THE_DEMO = """
import hashlib, sys
from pathlib import Path
from sparse_ap import affinity_propagation, hierarchy
from sparse_ap.cli.demo.places import load_places
from sparse_ap.cli.demo.run import EXEMPLAR_COST_KM, N_NEIGHBORS, great_circle_graph

graph = great_circle_graph(load_places(), N_NEIGHBORS)
clustering = affinity_propagation(graph, preference=-EXEMPLAR_COST_KM)
tree = hierarchy(graph, clustering=clustering)
print(*tree.n_clusters)
for arrays in ([graph.indices, graph.data], map(tree.labels, range(tree.n_levels))):
    print(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
print(repr(clustering.net_similarity))
"""


@pytest.mark.slow
def test_the_readme_has_the_figures_of_every_processor(tmp_path: Path) -> None:
    here = printed_by(THE_DEMO)
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    found = re.search(
        r"Lines join ([\d,]+) exemplars to (\d+) of them, these to (\d+), these to (\d+)", readme
    )
    assert found is not None
    figures = [figure.replace(",", "") for figure in found.groups()]
    assert here.split()[: len(figures)] == figures
    assert printed_by(THE_DEMO, older=tmp_path) == here
