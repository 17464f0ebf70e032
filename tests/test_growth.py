"""Clusterings extended by new points and without old ones, against enumeration and loops."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import disk
import numpy as np
import pytest
import scipy.sparse
from click.testing import CliRunner, Result
from same_bits import bits
from samples import knn_similarity

import sparse_ap
from sparse_ap import Clustering, InvalidInputError, Outcome, affinity_propagation, extend
from sparse_ap.cli.commands import main
from sparse_ap.cli.results.tables import write_clustering
from sparse_ap.graphs import knn_graph, open_graph

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

POINTS = np.random.default_rng(8).random((900, 2))
GRAPH = knn_graph(POINTS, 9)
OLD = affinity_propagation(knn_graph(POINTS[:700], 9), preference=-0.02)


def random_graph(rng: np.random.Generator, n: int) -> Any:
    """Similarities with ties, minus infinity where there is no edge."""
    dense = rng.normal(size=(n, n)).round(int(rng.integers(0, 3))) - 1
    dense[rng.random((n, n)) < 0.8 * rng.random()] = -np.inf
    np.fill_diagonal(dense, -np.inf)
    return dense


def sparse_of(dense: Any) -> Any:
    rows, columns = np.nonzero(dense > -np.inf)
    return scipy.sparse.csr_array((dense[rows, columns], (rows, columns)), shape=dense.shape)


def net_of(dense: Any, preference: Any, exemplars: Any) -> float:
    """The net similarity of some exemplars; minus infinity where a point has an edge to none."""
    chosen = np.asarray(exemplars, int)
    others = np.setdiff1d(np.arange(len(dense)), chosen)
    return float(dense[np.ix_(others, chosen)].max(axis=1, initial=-np.inf).sum() + preference[chosen].sum())


def start_of(dense: Any, old: Any) -> Any:
    """The old exemplars, and every point without an edge to one."""
    reached = np.isfinite(dense[:, old]).any(axis=1)
    reached[old] = True
    return np.union1d(old, np.flatnonzero(~reached))


def require_valid(found: Clustering, dense: Any, preference: Any) -> None:
    """Each point goes to its most similar exemplar, of equals to the first; the sums are exact."""
    allowed = dense[:, found.exemplars].copy()
    allowed[found.exemplars, np.arange(found.n_clusters)] = np.inf
    assert (found.labels == allowed.argmax(axis=1)).all()
    assert found.net_similarity == pytest.approx(net_of(dense, preference, found.exemplars), abs=1e-12)


def require_recourse(found: Clustering, before: Clustering, row: Any) -> None:
    """What has changed, by loops."""
    assert found.recourse is not None
    opened, closed, moved = set(map(int, found.exemplars)), [], []
    for point, new in enumerate(row):
        if new < 0:
            continue
        of = before.labels[point]
        was = int(before.exemplars[of]) if of >= 0 else None
        label = found.labels[new]
        now = int(found.exemplars[label]) if label >= 0 else None
        if was == point:
            opened.discard(int(new))
            closed += [int(new)] * int(now != new)
        if now != (None if was is None else int(row[was])):
            moved.append(int(new))
    assert found.recourse.opened.tolist() == sorted(opened)
    assert found.recourse.closed.tolist() == sorted(closed)
    assert found.recourse.moved.tolist() == sorted(moved)


def one_random(seed: int) -> tuple[float, float, float]:
    """Extend one clustering at random; return what it gains, at the start, in the end and at best."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    dense = random_graph(rng, n)
    preference = np.full(n, rng.normal() - 1) if rng.random() < 0.5 else rng.normal(size=n) - 1
    n_left = int(rng.integers(0, n + 1))
    row = rng.permutation(n)[:n_left]
    # Points that will be left out, among the others.
    row = rng.permutation(np.append(row, np.full(int(rng.integers(0, 4)), -1)))
    if not len(row):
        row = np.array([-1])
    before_graph = random_graph(rng, len(row))
    left = np.flatnonzero(row >= 0)
    before_graph[np.ix_(left, left)] = dense[np.ix_(row[left], row[left])]
    before = affinity_propagation(sparse_of(before_graph), preference=float(preference[0]))
    min_gain = [0.0, 0.5, np.inf][int(rng.integers(3))]
    same = bool((preference == preference[0]).all())
    found = extend(
        before, sparse_of(dense), old=row, preference=None if same else preference, min_gain=min_gain
    )
    require_valid(found, dense, preference)
    require_recourse(found, before, row)
    old = row[before.exemplars]
    old = np.sort(old[old >= 0])
    weight = 1e6 if min_gain == np.inf else min_gain

    def gained(exemplars: Any) -> float:
        return net_of(dense, preference, exemplars) + weight * np.isin(old, exemplars).sum()

    sets = [np.array(s) for size in range(1, n + 1) for s in combinations(range(n), size)]
    return gained(start_of(dense, old)), gained(found.exemplars), max(map(gained, sets))


@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 500), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_it_is_never_worse_than_the_start(seeds: range) -> None:
    n_best = 0
    for seed in seeds:
        start, end, best = one_random(seed)
        assert start - 1e-9 <= end <= best + 1e-9
        n_best += end > best - 1e-9
    # Exemplars far from what has changed stay, even where others would be better.
    assert n_best >= 0.8 * len(seeds)


def test_far_from_what_has_changed_nothing_changes() -> None:
    corner = np.r_[POINTS[:700], np.random.default_rng(0).random((20, 2)) * 0.1]
    found = extend(OLD, knn_graph(corner, 9))
    require_recourse(found, OLD, np.arange(700))
    assert found.recourse is not None
    touched = np.concatenate(found.recourse)
    assert len(found.recourse.opened) > 0
    assert (corner[touched] < 0.3).all()
    untouched = np.setdiff1d(np.arange(700), touched)
    assert (OLD.exemplars[OLD.labels[untouched]] == found.exemplars[found.labels[untouched]]).all()


def test_without_a_change_it_is_the_same() -> None:
    again = extend(OLD, knn_graph(POINTS[:700], 9))
    assert (again.labels == OLD.labels).all()
    assert again.net_similarity == OLD.net_similarity
    assert (again.n_iter, again.converged, again.outcome) == (0, True, Outcome.CONVERGED)
    assert again.recourse is not None
    assert [len(rows) for rows in again.recourse] == [0, 0, 0]


def test_it_is_near_a_full_run_and_keeps_more_with_a_larger_gain() -> None:
    full = affinity_propagation(GRAPH, preference=-0.02)
    kept = []
    for min_gain in (0.0, 0.005, np.inf):
        found = extend(OLD, GRAPH, min_gain=min_gain)
        assert found.recourse is not None
        assert found.net_similarity >= 1.1 * full.net_similarity
        kept.append(OLD.n_clusters - len(found.recourse.closed))
    assert kept[0] < kept[1] < kept[2] == OLD.n_clusters
    for large in (1e300, 10**400):
        found = extend(OLD, GRAPH, min_gain=large)
        assert bits(found) == bits(extend(OLD, GRAPH, min_gain=np.inf))
    assert extend(OLD, GRAPH).net_similarity >= 1.03 * full.net_similarity


def test_points_are_left_out_and_named_by_rows() -> None:
    """Exemplars are left out; the rows are in another order."""
    rng = np.random.default_rng(1)
    out = rng.choice(OLD.exemplars, 5, replace=False)
    stay = np.setdiff1d(np.arange(900), out)
    order = rng.permutation(stay)
    row = np.full(900, -1)
    row[order] = np.arange(len(order))
    found = extend(OLD, knn_graph(POINTS[order], 9), old=row[:700])
    require_recourse(found, OLD, row[:700])
    assert (found.labels >= 0).all()
    assert len(found.labels) == 895
    assert found.recourse is not None
    members = np.flatnonzero(np.isin(OLD.exemplars[OLD.labels], out))
    assert np.isin(row[np.setdiff1d(members, out)], found.recourse.moved).all()


def everything_of(found: Clustering) -> Any:
    assert found.recourse is not None
    return bits(found), [rows.tobytes() for rows in found.recourse]


ROWS = np.where(np.arange(700) % 50 == 0, -1, np.arange(700))


def test_the_bits_are_the_same_on_disk_and_for_any_threads(tmp_path: Path) -> None:
    wanted = everything_of(extend(OLD, GRAPH, old=ROWS, min_gain=0.003))
    disk.write(tmp_path / "graph.zarr", GRAPH, chunks=500)
    for given, options in (
        (GRAPH, {"n_jobs": 2}),
        (open_graph(tmp_path / "graph.zarr"), {}),
        (tmp_path / "graph.zarr", {"n_jobs": 1}),
    ):
        found = extend(OLD, given, old=ROWS, min_gain=0.003, **options)
        assert everything_of(found) == wanted


def test_with_everything_else_that_a_run_may_have() -> None:
    rng = np.random.default_rng(2)
    weights = rng.integers(1, 9, 900) / 4
    options: dict[str, Any] = {
        "weights": weights, "candidates": rng.random(900) < 0.5, "unrepresented": "label",
        "min_similarity": float(np.quantile(GRAPH.data, 0.1)),
    }  # fmt: skip
    before_options = options | {"weights": weights[:700], "candidates": options["candidates"][:700]}
    before = affinity_propagation(knn_graph(POINTS[:700], 9), preference=-0.02, **before_options)
    assert before.n_unrepresented > 0
    found = extend(before, GRAPH, **options)
    require_recourse(found, before, np.arange(700))
    full = affinity_propagation(GRAPH, preference=-0.02, **options)
    assert (found.labels < 0).tolist() == (full.labels < 0).tolist()
    assert found.net_similarity >= 1.05 * full.net_similarity
    assert options["candidates"][found.exemplars].all()
    assert found.weighted_sizes is not None
    # What the first run allowed is known.
    known = {name: value for name, value in options.items() if name != "min_similarity"}
    assert everything_of(extend(before, GRAPH, **known)) == everything_of(found)
    free = replace(before, min_similarity=None)
    assert everything_of(extend(before, GRAPH, min_similarity=-np.inf, **known)) == everything_of(
        extend(free, GRAPH, **known)
    )
    # Without the option they are refused, not lost.
    with pytest.raises(InvalidInputError, match="may not be exemplars"):
        extend(before, GRAPH, **(options | {"unrepresented": "error"}))
    # All may be exemplars now: those that nobody represented are represented.
    assert (extend(before, GRAPH).labels >= 0).all()


def test_it_is_saved_with_what_has_changed(tmp_path: Path) -> None:
    found = extend(OLD, GRAPH, old=ROWS)
    found.save(tmp_path / "found.npz")
    for again in (Clustering.load(tmp_path / "found.npz"), pickle.loads(pickle.dumps(found))):
        assert everything_of(again) == everything_of(found)
        assert isinstance(again.recourse, sparse_ap.Recourse)
    OLD.save(tmp_path / "old.npz")
    assert Clustering.load(tmp_path / "old.npz").recourse is None
    with np.load(tmp_path / "old.npz") as saved:
        assert not [name for name in saved.files if name.startswith("recourse")]


def test_it_goes_on_from_what_it_has_found() -> None:
    once = extend(OLD, GRAPH[:800, :800])
    assert once.preference == OLD.preference
    twice = extend(once, GRAPH)
    require_recourse(twice, once, np.arange(800))


def test_weights_that_are_all_one_give_weighted_sizes() -> None:
    found = extend(OLD, GRAPH, weights=np.ones(900))
    assert found.weighted_sizes is not None
    assert found.weighted_sizes.tolist() == found.sizes.tolist()


def test_nothing_is_left() -> None:
    none = extend(OLD, scipy.sparse.csr_array((0, 0)), old=np.full(700, -1))
    assert (len(none.labels), none.n_clusters, none.net_similarity) == (0, 0, 0)
    one = extend(none, scipy.sparse.csr_array((1, 1)), old=[], preference=-1)
    assert (one.exemplars.tolist(), one.net_similarity) == ([0], -1)


MIXED = affinity_propagation(GRAPH[:50, :50], preference=np.linspace(-0.1, -0.01, 50))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"clustering": [0, 1]}, r"clustering=\[0, 1\]; it must be a Clustering"),
        ({"clustering": MIXED}, r"no one preference that all share.*Give preference \(--preference\)"),
        ({"similarity": GRAPH[:500, :500]}, r"is of 700 points, and the graph has 500.*Give old="),
        ({"old": range(5)}, r"old has shape \(5,\).*row of each of the 700 old points.*from 0 to 899, or -1"),
        ({"old": np.arange(700.0)}, "dtype float64; the row of each"),
        ({"old": [True] * 700}, "dtype bool"),
        ({"old": np.arange(700) + 201}, r"old holds 900; the row"),
        ({"old": np.arange(700) - 2}, r"old holds -2; the row"),
        ({"old": [3, 3, *range(5, 703)]}, "old has rows twice: 3; each point has its own row"),
        ({"min_gain": -0.1}, r"min_gain=-0.1; it must be 0 or more, or inf"),
        ({"min_gain": np.nan}, "min_gain=nan"),
        ({"min_gain": "much"}, "min_gain='much'"),
        ({"min_gain": True}, "min_gain=True"),
        ({"preference": [1, 2]}, "preference"),
        ({"candidates": [1000]}, "candidates holds 1000"),
        ({"weights": [0.0] * 900}, "weights"),
        ({"unrepresented": "drop"}, "unrepresented"),
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"random_state": "x"}, "random_state"),
        ({"similarity": "nowhere.zarr"}, "nowhere.zarr"),
    ],
)
def test_bad_input_is_refused_in_words(given: dict[str, Any], says: str) -> None:
    options = {"clustering": OLD, "similarity": GRAPH} | given
    with pytest.raises(InvalidInputError, match=says):
        extend(options.pop("clustering"), options.pop("similarity"), **options)


def test_the_graph_is_not_written_to() -> None:
    graph = knn_similarity(300, 6, 2, seed=1)
    before = affinity_propagation(graph[:200, :200], preference=-0.05)
    copy = graph.copy()
    for array in (graph.data, graph.indices, graph.indptr):
        array.flags.writeable = False
    extend(before, graph)
    assert (graph != copy).nnz == 0


@pytest.mark.parametrize("options", [{}, {"scheme": "classic"}, {"refine": None}, {"refine": "medoid"}])
def test_a_run_begins_with_exemplars_and_is_never_worse(options: dict[str, Any]) -> None:
    graph, refine = knn_graph(POINTS[:700], 9), options.get("refine", "search")
    for preference in (-0.05, -0.02, -0.005):
        found = affinity_propagation(graph, preference=preference, start=OLD, **options)
        assert (found.labels >= 0).all()
        assert (found.converged, found.outcome) == (True, Outcome.CONVERGED)
        assert 1 <= found.n_iter <= 25
        before = OLD.data_similarity + preference * OLD.n_clusters
        assert found.net_similarity >= before
        full = affinity_propagation(graph, preference=preference)
        assert found.net_similarity >= (1.03 if refine == "search" else 1.2) * full.net_similarity


def test_small_runs_from_exemplars_are_the_best() -> None:
    n_best = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 9))
        dense, preference = random_graph(rng, n), rng.normal(size=n) - 1
        start = affinity_propagation(sparse_of(random_graph(rng, n)), preference=-1)
        found = affinity_propagation(sparse_of(dense), preference=preference, start=start)
        require_valid(found, dense, preference)
        least = net_of(dense, preference, start_of(dense, start.exemplars))
        sets = [np.array(s) for size in range(1, n + 1) for s in combinations(range(n), size)]
        best = max(net_of(dense, preference, s) for s in sets)
        assert least - 1e-9 <= found.net_similarity <= best + 1e-9
        n_best += found.net_similarity > best - 1e-9
    assert n_best >= 19


def test_a_start_goes_with_everything_else_that_a_run_may_have() -> None:
    rows = np.random.default_rng(1).permutation(np.r_[np.arange(200), np.arange(0, 200, 3)])
    twins = knn_graph(POINTS[rows], 6)
    options: dict[str, Any] = {"collapse_duplicates": True, "preference": -0.02}
    start = affinity_propagation(twins, **options)
    found = affinity_propagation(twins, **options, start=start, certify=True)
    assert found.net_similarity >= start.net_similarity
    assert found.net_similarity_bound is not None
    candidates = np.random.default_rng(3).random(700) < 0.5
    options = {"candidates": candidates, "unrepresented": "label", "preference": -0.02}
    few = affinity_propagation(GRAPH[:700, :700], **options, start=OLD)
    assert candidates[few.exemplars].all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"start": [0, 1]}, r"start=\[0, 1\]; it must be a Clustering, or None"),
        ({"start": OLD}, "of 700 points, and the graph has 900.*extend goes on"),
        ({"start": OLD, "n_clusters": 5}, "n_clusters=5 .*was given with start"),
        ({"start": OLD, "checkpoint": "kept"}, "checkpoint was given with start"),
    ],
)
def test_a_start_that_cannot_be_used_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        affinity_propagation(GRAPH, **given)


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["extend", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The old clustering as .npz and, with names, as .csv; the graph as .npz, and its names."""
    monkeypatch.chdir(tmp_path)
    OLD.save("old.npz")
    scipy.sparse.save_npz("graph.npz", scipy.sparse.csr_array(GRAPH))
    names = np.array([f"p{number}" for number in range(900)], object)
    # The names are in another order, and one old point is left out.
    write_clustering(OLD, tmp_path / "old.csv", np.where(np.arange(700) == 5, "gone", names[:700]))
    (tmp_path / "names.txt").write_text("\n".join(names))
    rows = (f"{name},{number if number < 700 and number != 5 else ''}" for number, name in enumerate(names))
    (tmp_path / "rows.csv").write_text("\n".join(["name,number", *rows]))
    return tmp_path


def test_the_command_does_what_the_function_does(files: Path) -> None:
    done = typed("old.npz", "graph.npz", "--min-gain", 0.003, "-o", "found.npz")
    assert done.exit_code == 0, done.output
    found = Clustering.load("found.npz")
    wanted = extend(OLD, GRAPH, min_gain=0.003)
    assert everything_of(found) == everything_of(wanted)
    assert typed("old.npz", "graph.npz", "--min-gain", 0.003, "-o", "found.csv").exit_code == 0
    table = np.genfromtxt("found.csv", delimiter=",", names=True)
    runner_up = wanted.runner_up(GRAPH)
    assert table["runner_up"].tolist() == runner_up.exemplars.tolist()
    assert np.array_equal(table["margin"], runner_up.margins, equal_nan=True)
    assert wanted.recourse is not None
    for line in (
        "new points      200",
        "left out        0, of 700",
        f"opened          {len(wanted.recourse.opened)}",
    ):
        assert line in done.output


def test_the_command_matches_names_or_a_column(files: Path) -> None:
    row = np.where(np.arange(700) == 5, -1, np.arange(700))
    wanted = extend(OLD, GRAPH, old=row)
    by_names = typed(
        "old.csv", "graph.npz", "--names", "names.txt", "--preference=-0.02", "-o", "by_names.npz"
    )
    assert by_names.exit_code == 0, by_names.output
    assert "left out        1, of 700" in by_names.output
    by_rows = typed(
        "old.npz", "graph.npz", "--table", "rows.csv", "--old-column", "number", "-o", "by_rows.npz",
        "--names", "names.txt",
    )  # fmt: skip
    assert by_rows.exit_code == 0, by_rows.output
    for name in ("by_names.npz", "by_rows.npz"):
        assert everything_of(Clustering.load(name)) == everything_of(wanted)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["old.csv", "graph.npz", "--names", "names.txt"], "Give --preference: one number"),
        (["old.csv", "graph.npz"], "old.csv have names, those of the graph have none"),
        (
            ["old.npz", "graph.npz", "--names", "names.txt"],
            "the graph have names, those of old.npz have none",
        ),
        (["old.npz", "old.csv"], "old.csv"),
        (["old.npz", "graph.npz", "--min-gain=-1"], "--min-gain=-1.0; it must be 0 or more"),
        (["old.npz", "graph.npz", "--old-column", "number"], "give --table"),
        (["old.npz", "graph.npz", "-o", "old.npz"], "old.npz is what the command reads"),
        (["old.npz", "graph.npz", "-o", "graph.npz"], "graph.npz is what the command reads"),
        (
            ["old.npz", "graph.npz", "--table", "rows.csv", "--old-column", "name", "--names", "names.txt"],
            "the first column",
        ),
    ],
)
def test_the_command_refuses_in_words(given: list[str], says: str, files: Path) -> None:
    done = typed(*given)
    assert done.exit_code == 2
    assert says in done.stderr


def test_the_command_refuses_a_column_that_does_not_fit(files: Path) -> None:
    for values, says in (
        ({0: "900"}, "points that old.npz does not have: 900"),
        ({0: "900", 1: "900"}, "names 1 points that old.npz does not have: 900."),
        ({0: "3"}, "'3' twice"),
    ):
        old = [values.get(number, str(number) if number < 700 else "") for number in range(900)]
        (files / "wrong.csv").write_text("\n".join(["point,old", *(f"{i},{o}" for i, o in enumerate(old))]))
        done = typed("old.npz", "graph.npz", "--table", "wrong.csv", "--old-column", "old")
        assert done.exit_code == 2
        assert says in done.stderr
    (files / "others.txt").write_text("\n".join(f"q{number}" for number in range(900)))
    done = typed("old.csv", "graph.npz", "--names", "others.txt", "--preference=-1")
    assert "has none of the 700 points of old.csv" in done.stderr
