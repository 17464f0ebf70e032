"""New points against the exemplars of a clustering, in Python and on the command line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning

from sparse_ap import AffinityPropagation, Clustering, InvalidInputError, affinity_propagation
from sparse_ap.cli.commands import main
from sparse_ap.cli.results.tables import write_clustering
from sparse_ap.graphs import knn_graph

POINTS = np.random.default_rng(0).normal(size=(120, 4))
NEW = np.random.default_rng(1).normal(size=(50, 4))
NAMES = np.array([f"p{i}" for i in range(120)], object)


@pytest.fixture(scope="module")
def clustering() -> Clustering:
    return affinity_propagation(knn_graph(POINTS, 15, similarity="-d"), preference=-3)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["predict", *map(str, arguments)])


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine", "inner_product"])
def test_points_go_to_their_nearest_exemplar(clustering: Clustering, metric: str) -> None:
    exemplars = clustering.exemplars
    if metric == "inner_product":
        distances = -NEW @ POINTS[exemplars].T
    else:
        distances = cdist(NEW, POINTS[exemplars], {"manhattan": "cityblock"}.get(metric, metric))
    least = -np.median(distances.min(axis=1))
    found = clustering.predict(NEW, POINTS, metric=metric, similarity="-d")
    assert (found.labels == distances.argmin(axis=1)).all()
    assert (found.exemplars == exemplars[found.labels]).all()
    np.testing.assert_allclose(-found.similarities, distances.min(axis=1), rtol=1e-6)
    near = clustering.predict(NEW, POINTS[exemplars], metric=metric, similarity="-d", min_similarity=least)
    expected = np.where(distances.min(axis=1) <= -least, distances.argmin(axis=1), -1)
    assert (near.labels == expected).all()
    assert (near.exemplars == np.where(expected >= 0, exemplars[expected], -1)).all()
    assert (np.isnan(near.similarities) == (expected == -1)).all()
    # As similar as the threshold: in float32 both are the same.
    for value in np.sort(found.similarities)[[0, 20, -1]]:
        same = clustering.predict(NEW, POINTS, metric=metric, similarity="-d", min_similarity=value)
        assert (same.labels >= 0).sum() == (found.similarities >= value).sum()


def test_the_similarities_are_those_of_the_graph(clustering: Clustering) -> None:
    both = np.concatenate([POINTS, NEW])
    graph = knn_graph(both, len(both) - 1).toarray()[120:, :120]
    by_points = clustering.predict(NEW, POINTS)
    by_graph = clustering.predict(graph)
    for name in ("labels", "exemplars", "similarities"):
        assert (getattr(by_points, name) == getattr(by_graph, name)).all()
    sparse = clustering.predict(scipy.sparse.csr_array(graph))
    assert (sparse.labels == by_graph.labels).all()
    assert (sparse.similarities == by_graph.similarities).all()
    estimator = AffinityPropagation(n_neighbors=15, similarity="-d", preference=-3).fit(POINTS)
    assert (estimator.predict(NEW) == clustering.predict(NEW, POINTS, similarity="-d").labels).all()


def test_bits_and_sparse_rows(clustering: Clustering) -> None:
    bits, new = POINTS.repeat(20, axis=1) > 0.3, NEW.repeat(20, axis=1) > 0.3
    tanimoto = cdist(new, bits[clustering.exemplars], "jaccard")
    for forms in ((new, bits), (np.packbits(new, axis=1), np.packbits(bits, axis=1))):
        found = clustering.predict(*forms, metric="tanimoto", similarity="1-d", min_similarity=0.6)
        best = 1 - tanimoto.min(axis=1)
        assert ((found.labels >= 0) == (best >= 0.6 - 1e-9)).all()
    with pytest.raises(InvalidInputError, match=r"have 10 columns of uint8, .* 80 columns of bool"):
        clustering.predict(np.packbits(new, axis=1), bits, metric="tanimoto")
    rows = clustering.predict(scipy.sparse.csr_array(NEW), POINTS, metric="cosine")
    assert (rows.labels == cdist(NEW, POINTS[clustering.exemplars], "cosine").argmin(axis=1)).all()


def test_rows_without_an_exemplar_are_told(clustering: Clustering) -> None:
    similarity = scipy.sparse.csr_array(
        (np.float32([-0.6, -0.5]), ([0, 1], clustering.exemplars[[1, 0]])), shape=(3, 120)
    )
    with pytest.warns(ConvergenceWarning, match="1 of 3 samples have no entry for any exemplar"):
        assert clustering.predict(similarity).labels.tolist() == [1, 0, -1]
    # In float32, -.6 is less than -.6.
    assert clustering.predict(similarity, min_similarity=-0.6).labels.tolist() == [1, 0, -1]
    assert clustering.predict(similarity, min_similarity=-0.55).labels.tolist() == [-1, 0, -1]


@pytest.mark.parametrize(
    ("given", "options", "text"),
    [
        ((NEW,), {}, r"X has shape \(50, 4\); similarities of shape \(n_new, 120\) .* give points\."),
        ((np.zeros(120),), {}, r"X has shape \(120,\); similarities"),
        ((np.zeros((2, 120)),), {"metric": "cosine"}, "metric='cosine' is for points: give points"),
        ((np.zeros((2, 120)),), {"min_similarity": np.nan}, "min_similarity=nan; it must be a finite number"),
        ((NEW, POINTS[:7]), {}, r"points has shape \(7, 4\); the 120 points that were clustered"),
        (
            (NEW[:, :3], POINTS),
            {},
            "The new points have 3 columns of float64, the points of the cl",
        ),
        ((NEW, POINTS), {"similarity": np.negative}, "similarity is a function"),
        ((NEW, POINTS), {"min_similarity": 0.5}, "min_similarity=0.5 is above every similarity"),
        ((NEW, POINTS), {"metric": "cityblock"}, "metric='cityblock'; one of"),
    ],
)
def test_what_does_not_fit_is_refused(clustering: Clustering, given: Any, options: Any, text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        clustering.predict(*given, **options)


@pytest.mark.parametrize("ending", ["csv", "parquet", "zarr", "npz"])
def test_the_command_takes_every_result(clustering: Clustering, tmp_path: Path, ending: str) -> None:
    np.save(tmp_path / "new.npy", NEW)
    np.save(tmp_path / "points.npy", POINTS)
    result = tmp_path / f"labels.{ending}"
    write_clustering(clustering, result, None if ending == "npz" else NAMES)
    out = tmp_path / "new.csv"
    done = run(result, tmp_path / "new.npy", "--points", tmp_path / "points.npy", "-t", "-2", "-o", out)
    assert done.exit_code == 0, done.output
    expected = clustering.predict(NEW, POINTS, min_similarity=-2)
    assert 0 < (expected.labels >= 0).sum() < 50
    exemplars = expected.exemplars.tolist()
    if ending != "npz":
        exemplars = ["" if number < 0 else NAMES[number] for number in exemplars]
    columns = list(zip(*rows_of(out), strict=True))
    assert list(columns[0]) == [str(i) for i in range(50)]
    assert list(map(int, columns[1])) == expected.labels.tolist()
    assert list(columns[2]) == list(map(str, exemplars))
    np.testing.assert_allclose(np.float32(columns[3]), expected.similarities)
    n = (expected.labels >= 0).sum()
    assert f"labelled    {n}; -1: {50 - n}" in done.output.splitlines()


@pytest.mark.parametrize("ending", ["parquet", "zarr", "npz"])
def test_the_command_writes_every_table(clustering: Clustering, tmp_path: Path, ending: str) -> None:
    np.save(tmp_path / "new.npy", NEW)
    np.save(tmp_path / "points.npy", POINTS)
    clustering.save(tmp_path / "labels.npz")
    out = tmp_path / f"new.{ending}"
    done = run(
        tmp_path / "labels.npz",
        tmp_path / "new.npy",
        "--points",
        tmp_path / "points.npy",
        "-o",
        out,
        "--quiet",
    )
    assert (done.exit_code, done.output) == (0, "")
    expected = clustering.predict(NEW, POINTS)
    if ending == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        labels = parquet.read_table(out)["label"].to_numpy()
    else:
        labels = zarr.open_group(out, mode="r")["label"][:] if ending == "zarr" else np.load(out)["labels"]
    assert (labels == expected.labels).all()


def test_names_match_points_in_another_order(clustering: Clustering, tmp_path: Path) -> None:
    write_clustering(clustering, tmp_path / "labels.csv", NAMES)
    order = np.random.default_rng(2).permutation(120)
    for name, table, names in (
        ("old", POINTS[order], NAMES[order]),
        ("new", NEW, [f"n{i}" for i in range(50)]),
    ):
        lines = [",".join([label, *map(repr, row)]) for label, row in zip(names, table.tolist(), strict=True)]
        (tmp_path / f"{name}.csv").write_text("name,a,b,c,d\n" + "\n".join(lines) + "\n")
    done = run(tmp_path / "labels.csv", tmp_path / "new.csv", "--points", tmp_path / "old.csv", "-o", "-")
    assert done.exit_code == 0, done.output
    expected = clustering.predict(NEW, POINTS)
    table = [line.split(",") for line in done.stdout.splitlines()[1:]]
    assert [row[:3] for row in table] == [
        [f"n{i}", str(label), NAMES[exemplar]]
        for i, (label, exemplar) in enumerate(zip(expected.labels, expected.exemplars, strict=True))
    ]
    lines = [line for line in (tmp_path / "old.csv").read_text().splitlines() if not line.startswith("p1")]
    (tmp_path / "old.csv").write_text("\n".join(lines))
    done = run(tmp_path / "labels.csv", tmp_path / "new.csv", "--points", tmp_path / "old.csv", "-o", "-")
    assert done.exit_code == 2
    assert "of the" in done.stderr
    assert "points that were clustered are needed, under the same names." in done.stderr


def test_a_graph_from_new_points_to_old_ones(clustering: Clustering, tmp_path: Path) -> None:
    clustering.save(tmp_path / "labels.npz")
    similarity = scipy.sparse.csr_array(-cdist(NEW, POINTS))
    scipy.sparse.save_npz(tmp_path / "new.npz", similarity)
    done = run(tmp_path / "labels.npz", tmp_path / "new.npz", "-t", -1.5, "-o", tmp_path / "out.csv")
    assert done.exit_code == 0, done.output
    expected = clustering.predict(similarity, min_similarity=-1.5)
    assert [int(row[1]) for row in rows_of(tmp_path / "out.csv")] == expected.labels.tolist()


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("point,label\na,0\n", "has no column 'exemplar'; the result of sparse-ap cluster is needed"),
        ("point,label,exemplar\na,0,a\na,0,a\n", "a point is there twice"),
        ("point,label,exemplar\na,0,a\nb,2,b\n", "the labels are not the whole numbers from 0"),
        ("point,label,exemplar\na,0,c\nb,0,c\n", "an exemplar is no point of the table"),
        ("point,label,exemplar\na,x,a\n", "is no result of sparse-ap cluster"),
    ],
)
def test_damaged_results_are_refused(tmp_path: Path, table: str, text: str) -> None:
    (tmp_path / "labels.csv").write_text(table)
    np.save(tmp_path / "new.npy", NEW)
    np.save(tmp_path / "points.npy", POINTS[:2])
    done = run(tmp_path / "labels.csv", tmp_path / "new.npy", "--points", tmp_path / "points.npy", "-o", "-")
    assert done.exit_code == 2
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_inputs_that_do_not_fit_are_refused(clustering: Clustering, tmp_path: Path) -> None:
    clustering.save(tmp_path / "labels.npz")
    np.save(tmp_path / "new.npy", NEW)
    np.save(tmp_path / "few.npy", POINTS[:9])
    done = run(tmp_path / "labels.npz", tmp_path / "new.npy", "-o", tmp_path / "out.csv")
    assert "is no graph from new points to old ones" in done.stderr
    assert "give --points" in done.stderr
    done = run(tmp_path / "labels.npz", tmp_path / "new.npy", "--points", tmp_path / "few.npy", "-o", "-")
    assert "few.npy holds 9 points, and" in done.stderr
    done = run(tmp_path / "labels.npz", tmp_path / "new.npy", "-o", tmp_path / "labels.npz")
    assert "labels.npz is what the command reads" in done.stderr
    assert Clustering.load(tmp_path / "labels.npz").n_clusters == clustering.n_clusters


@pytest.mark.parametrize("affinity", ["nearest_neighbors", "euclidean", "precomputed"])
def test_the_estimator_predicts_nobody_for_points_that_are_far_from_all(affinity: str) -> None:
    points = np.random.default_rng(1).normal(size=(60, 3))
    new = np.concatenate([points[:4] + 0.01, [[50.0, 50, 50]]])
    if affinity == "precomputed":
        new = -((new[:, None] - points) ** 2).sum(axis=2)
        points = -((points[:, None] - points) ** 2).sum(axis=2)
    estimator = AffinityPropagation(affinity=affinity, min_similarity=-20, n_neighbors=10).fit(points)
    labels = estimator.predict(new)
    assert labels[-1] == -1
    assert (labels[:4] >= 0).all()


def test_tables_of_hits(clustering: Clustering, tmp_path: Path) -> None:
    """Beside the matrix; new points come as they appear, hits of one pair are not added up."""
    write_clustering(clustering, tmp_path / "labels.csv", NAMES)
    clustering.save(tmp_path / "labels.npz")
    distances = cdist(NEW, POINTS).round(6)
    rng = np.random.default_rng(3)
    # Some new points have the names of old ones.
    order = rng.permutation(50)
    blast, numbered = (tmp_path / "hits.m8").open("w"), (tmp_path / "hits.csv").open("w")
    numbered.write("query,subject,distance\n")
    with blast, numbered:
        for i in order:
            for k in rng.permutation(120):
                for more in (0.0, 0.5):
                    d = distances[i, k] + more
                    blast.write(f"p{i}\tp{k}\t90\t9\t0\t0\t1\t9\t1\t9\t{d:.6f}\t{100 - d:.6f}\n")
                    numbered.write(f"{i},{k},{d:.6f}\n")
    expected = clustering.predict(-distances).labels[order]
    near = clustering.predict(-distances, min_similarity=-1.5).labels[order]
    cases: list[tuple[str, str, list[str], Any]] = [
        ("labels.csv", "hits.m8", [], expected),
        ("labels.csv", "hits.m8", ["--column", "evalue", "--similarity=-d", "-t", "-1.5"], near),
        ("labels.npz", "hits.csv", ["--column", "distance", "--similarity=-d", "-t", "-1.5"], near),
    ]
    for result, hits, options, labels in cases:
        done = run(tmp_path / result, tmp_path / hits, *options, "-o", tmp_path / "out.csv")
        assert done.exit_code == 0, done.output
        rows = rows_of(tmp_path / "out.csv")
        prefix = "p" if hits == "hits.m8" else ""
        assert [row[0] for row in rows] == [f"{prefix}{i}" for i in order]
        assert [int(row[1]) for row in rows] == labels.tolist()


def test_tables_of_hits_that_do_not_fit_are_refused(clustering: Clustering, tmp_path: Path) -> None:
    write_clustering(clustering, tmp_path / "labels.csv", NAMES)
    (tmp_path / "hits.tsv").write_text("a\tp0\t1\na\tq1\t2\nb\tq1\t2\nb\tq2\t2\n")
    done = run(tmp_path / "labels.csv", tmp_path / "hits.tsv", "-o", "-")
    assert done.exit_code == 2
    assert "has hits to 2 points that" in done.stderr
    assert "labels.csv does not have: q1, q2. The second point" in done.stderr
    (tmp_path / "wrong.tsv").write_text("a\tp0\t1\na\tp1\tmany\n")
    done = run(tmp_path / "labels.csv", tmp_path / "wrong.tsv", "-o", "-")
    assert (done.exit_code, "line 2" in done.stderr) == (2, True), done.stderr
    (tmp_path / "right.tsv").write_text("a\tp0\t1\na\tp1\t2\n")
    done = run(tmp_path / "labels.csv", tmp_path / "right.tsv", "--metric", "cosine", "-o", "-")
    assert "--metric cosine is for points" in done.stderr
    scipy.sparse.save_npz(tmp_path / "new.npz", scipy.sparse.csr_array(np.ones((2, 120))))
    done = run(tmp_path / "labels.csv", tmp_path / "new.npz", "--column", "3", "-o", "-")
    assert "--column 3 is for tables of hits" in done.stderr
