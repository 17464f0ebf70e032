"""Weights in every way of running, and all that reads or writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click.testing
import disk
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from same_bits import bits
from samples import knn_similarity

from sparse_ap import AffinityPropagation, Clustering, InvalidInputError, affinity_propagation
from sparse_ap.cli.commands import main
from sparse_ap.errors import CheckpointError
from sparse_ap.graphs import open_graph, write_graph

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 600
GRAPH = knn_similarity(N, 9, 2, seed=4)
WEIGHTS = np.random.default_rng(3).integers(1, 40, N) / 7
OPTIONS: dict[str, Any] = {"weights": WEIGHTS, "preference": -0.02, "max_iter": 40}
# With everything else that changes the edges.
MORE: dict[str, Any] = OPTIONS | {
    "candidates": np.random.default_rng(5).random(N) < 0.4,
    "unrepresented": "label",
    "min_similarity": float(np.quantile(GRAPH.data, 0.1)),
}


def all_of(found: Clustering) -> Any:
    assert found.weighted_sizes is not None
    return bits(found), found.weighted_sizes.tobytes(), found.similarities.tobytes()


ALONE = pytest.param(OPTIONS, marks=pytest.mark.slow, id="alone")


@pytest.fixture(scope="module", params=[ALONE, pytest.param(MORE, id="with all")])
def given(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any]:
    return request.param, all_of(affinity_propagation(GRAPH, **request.param))


def test_it_is_the_graph_with_weighted_rows() -> None:
    """In float64, what comes out is what the graph of the products leads to."""
    heavy = scipy.sparse.csr_array(scipy.sparse.diags_array(WEIGHTS) @ GRAPH.astype(np.float64))
    other = affinity_propagation(heavy, preference=-0.02, max_iter=40)
    found = affinity_propagation(GRAPH, **OPTIONS)
    assert bits(found) == bits(other)
    assert found.similarities.dtype == np.float32
    assert (found.similarities == GRAPH.toarray()[range(N), found.exemplars[found.labels]]).all()
    sizes = np.bincount(found.labels, WEIGHTS)
    assert found.weighted_sizes == pytest.approx(sizes)
    assert found.sizes.sum() == N
    unweighted = affinity_propagation(GRAPH, preference=-0.02, max_iter=40)
    assert bits(unweighted) != bits(found)
    assert unweighted.weighted_sizes is None
    ones = affinity_propagation(GRAPH, weights=np.ones(N), preference=-0.02, max_iter=40)
    assert bits(ones) == bits(unweighted)
    assert ones.weighted_sizes is not None
    assert ones.weighted_sizes.tolist() == ones.sizes.tolist()


@pytest.mark.parametrize("more", [{"n_jobs": 1}, {"n_jobs": 2}, {"reorder": True}], ids=str)
def test_the_same_bits_in_memory(given: Any, more: dict[str, Any]) -> None:
    options, wanted = given
    assert all_of(affinity_propagation(GRAPH, **options, **more)) == wanted


def test_the_same_bits_from_disk(given: Any, tmp_path: Path) -> None:
    options, wanted = given
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    write_graph(GRAPH, tmp_path / "moved.zarr", order="rcm")
    for graph in (path, open_graph(path), open_graph(tmp_path / "moved.zarr")):
        assert all_of(affinity_propagation(graph, **options)) == wanted


def test_weights_of_one_change_nothing() -> None:
    one = affinity_propagation(GRAPH, weights=np.ones(N), max_iter=40)
    assert bits(one) == bits(affinity_propagation(GRAPH, max_iter=40))


def test_the_default_preference_knows_no_weights() -> None:
    for graph in (GRAPH, GRAPH.toarray()):
        plain = affinity_propagation(graph, max_iter=40)
        assert affinity_propagation(graph, weights=WEIGHTS, max_iter=40).preference == plain.preference


def test_exactly_so_many_clusters() -> None:
    found = affinity_propagation(GRAPH, weights=WEIGHTS, n_clusters=130)
    assert found.n_clusters == 130
    assert found.weighted_sizes is not None
    assert found.weighted_sizes.sum() == pytest.approx(WEIGHTS.sum())


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (np.ones(9), "weights has shape (9,); one number for each of the 600 points is needed."),
        (2.0, "weights has shape (); one number for each of the 600 points is needed."),
        (["a"] * N, "a number for each point is needed."),
        (
            np.r_[np.ones(N - 2), 0, -1],
            "weights is zero or less, or not finite, at 2 of 600 points, the first being 598: 0.0. Leave out "
            "points that have no weight.",
        ),
        (np.r_[np.inf, np.ones(N - 1)], "at 1 of 600 points, the first being 0: inf."),
        (np.r_[np.nan, np.ones(N - 1)], "at 1 of 600 points, the first being 0: nan."),
        (np.full(N, 1e200), "can be added up safely"),
    ],
)
def test_what_is_no_weight_is_refused(weights: Any, text: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        affinity_propagation(GRAPH, weights=weights)
    assert text in str(error.value)


def test_edges_that_were_left_out_may_matter_to_light_points(tmp_path: Path) -> None:
    write_graph(GRAPH, tmp_path / "g.zarr", min_similarity=-0.001)
    affinity_propagation(tmp_path / "g.zarr", preference=-0.001, max_iter=40)
    light = np.r_[0.5, np.ones(N - 1)]
    with pytest.raises(InvalidInputError, match="preference divided by the weight is as low as"):
        affinity_propagation(tmp_path / "g.zarr", preference=-0.001, weights=light)


def test_a_checkpoint_is_of_its_weights(tmp_path: Path, given: Any) -> None:
    options, wanted = given
    options = options | {"checkpoint": tmp_path, "checkpoint_every": 10}
    affinity_propagation(GRAPH, **options | {"max_iter": 25})
    assert all_of(affinity_propagation(GRAPH, **options, resume=True)) == wanted
    for weights in (None, WEIGHTS[::-1]):
        with pytest.raises(CheckpointError, match="is of another run: weights are others"):
            affinity_propagation(GRAPH, **options | {"weights": weights}, resume=True)


def test_saved_and_loaded(given: Any, tmp_path: Path) -> None:
    found = affinity_propagation(GRAPH, **given[0])
    found.save(tmp_path / "c.npz")
    assert all_of(Clustering.load(tmp_path / "c.npz")) == given[1]


def test_the_estimator() -> None:
    model = AffinityPropagation(affinity="precomputed", preference=-0.02, max_iter=40)
    assert all_of(model.fit(GRAPH, sample_weight=WEIGHTS).clustering_) == all_of(
        affinity_propagation(GRAPH, **OPTIONS)
    )
    labels = model.fit_predict(GRAPH, sample_weight=WEIGHTS)
    assert labels.tolist() == affinity_propagation(GRAPH, **OPTIONS).labels.tolist()


def test_the_command(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", scipy.sparse.csr_matrix(GRAPH))
    pd.DataFrame({"w": WEIGHTS}).to_csv(tmp_path / "t.csv", index=False)
    given = ["cluster", tmp_path / "g.npz", "--table", tmp_path / "t.csv", "--weights-column", "w"]
    more = ["--preference=-0.02", "--max-iter", 40, "--certify", "-o", tmp_path / "c.npz"]
    done = click.testing.CliRunner().invoke(main, list(map(str, [*given, *more])))
    assert done.exit_code in (0, 3), done.output
    assert f"weights         {WEIGHTS.sum():.8g} in all, largest cluster " in done.output
    found = Clustering.load(tmp_path / "c.npz")
    assert all_of(found) == all_of(affinity_propagation(GRAPH, **OPTIONS, certify=True))
    assert found.net_similarity_bound is not None
    assert found.net_similarity_bound >= found.net_similarity
