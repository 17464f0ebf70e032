"""Points that are always or never exemplars, in every way of running; and all that reads the label -1."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import anndata
import click.testing
import disk
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from same_bits import bits
from samples import knn_similarity

import sparse_ap
from sparse_ap import AffinityPropagation, Clustering, InvalidInputError, affinity_propagation
from sparse_ap.cli.commands import main
from sparse_ap.errors import CheckpointError
from sparse_ap.graphs import open_graph, write_graph
from sparse_ap.plotting import plot_clustering, plot_sizes

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 600
GRAPH = knn_similarity(N, 9, 2, seed=4)
RNG = np.random.default_rng(7)
CANDIDATES = RNG.random(N) < 0.3
PREFERENCE = np.full(N, -0.01)
PREFERENCE[np.flatnonzero(CANDIDATES)[::20]] = np.inf
PREFERENCE[np.flatnonzero(CANDIDATES)[1::20]] = -np.inf
OPTIONS: dict[str, Any] = {
    "preference": PREFERENCE,
    "candidates": CANDIDATES,
    "unrepresented": "label",
    "max_iter": 40,
}


@pytest.fixture(scope="module")
def found() -> Clustering:
    return affinity_propagation(GRAPH, **OPTIONS)


def lost(clustering: Clustering) -> Any:
    return np.flatnonzero(clustering.labels < 0)


def test_there_are_points_of_every_role(found: Clustering) -> None:
    reach = GRAPH @ (CANDIDATES & (-np.inf < PREFERENCE)).astype(float) < 0
    allowed = CANDIDATES & (-np.inf < PREFERENCE)
    assert lost(found).tolist() == np.flatnonzero(~reach & ~allowed).tolist()
    assert len(lost(found)) == found.n_unrepresented > 3
    assert set(np.flatnonzero(np.isposinf(PREFERENCE))) < set(found.exemplars)
    assert allowed[found.exemplars].all()
    assert found.history[-1].n_exemplars <= allowed.sum()


@pytest.mark.parametrize("refine", ["search", "medoid"])
@pytest.mark.parametrize("more", [{"n_jobs": 1}, {"n_jobs": 2}, {"reorder": True}], ids=str)
def test_the_same_bits_in_memory(refine: str, more: dict[str, Any]) -> None:
    assert bits(affinity_propagation(GRAPH, **OPTIONS, refine=refine, **more)) == bits(
        affinity_propagation(GRAPH, **OPTIONS, refine=refine)
    )


def test_the_same_bits_from_disk(found: Clustering, tmp_path: Path) -> None:
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    assert bits(affinity_propagation(open_graph(path), **OPTIONS)) == bits(found)
    assert bits(affinity_propagation(path, **OPTIONS)) == bits(found)
    moved = tmp_path / "moved.zarr"
    write_graph(GRAPH, moved, order="rcm")
    assert bits(affinity_propagation(open_graph(moved), **OPTIONS)) == bits(found)


def test_a_dense_matrix_takes_the_compact_scheme() -> None:
    dense = GRAPH.toarray()
    dense[dense == 0] = -np.inf
    options = OPTIONS | {"refine": "search"}
    assert bits(affinity_propagation(dense, **options)) == bits(affinity_propagation(GRAPH, **options))


def test_numbers_are_as_good_as_a_mask(found: Clustering) -> None:
    numbers = np.flatnonzero(CANDIDATES)[::-1]
    assert bits(affinity_propagation(GRAPH, **OPTIONS | {"candidates": numbers})) == bits(found)


def test_one_preference_is_reported_for_those_with_a_choice() -> None:
    given = affinity_propagation(GRAPH, candidates=CANDIDATES, preference=-0.5, unrepresented="label")
    assert given.preference == -0.5


def test_a_checkpoint_is_of_its_candidates(tmp_path: Path, found: Clustering) -> None:
    options = OPTIONS | {"checkpoint": tmp_path, "checkpoint_every": 10}
    affinity_propagation(GRAPH, **options | {"max_iter": 25})
    assert bits(affinity_propagation(GRAPH, **options, resume=True)) == bits(found)
    others = CANDIDATES.copy()
    others[np.flatnonzero(~CANDIDATES)[0]] = True
    with pytest.raises(CheckpointError, match="another run: candidates, or the points with a pref"):
        affinity_propagation(GRAPH, **options | {"candidates": others}, resume=True)
    with pytest.raises(CheckpointError, match="candidates, or the points"):
        affinity_propagation(GRAPH, **{k: v for k, v in options.items() if k != "candidates"}, resume=True)


# What reads labels.


def test_saved_and_loaded(found: Clustering, tmp_path: Path) -> None:
    found.save(tmp_path / "c.npz")
    again = Clustering.load(tmp_path / "c.npz")
    assert bits(again) == bits(found)
    assert again.n_unrepresented == found.n_unrepresented
    assert (again.sizes == found.sizes).all()


def test_a_hierarchy_refuses_points_without_a_cluster(found: Clustering) -> None:
    with pytest.raises(InvalidInputError, match=f"label -1 for {found.n_unrepresented} points"):
        sparse_ap.hierarchy(GRAPH, clustering=found)


def test_pictures_and_the_report(found: Clustering, tmp_path: Path) -> None:
    points = np.random.default_rng(4).random((N, 2))
    ax = plot_clustering(points, found)
    crosses = [c for c in ax.collections if len(c.get_offsets()) == found.n_unrepresented]
    assert any(np.allclose(c.get_offsets(), points[lost(found)]) for c in crosses)
    bars = plot_sizes(found).patches
    assert sum(bar.get_height() for bar in bars) == found.n_clusters
    sparse_ap.write_report(found, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert f"<dt>represented by nobody</dt><dd>{found.n_unrepresented}</dd>" in page


def test_more_clusters_than_pixels(found: Clustering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparse_ap.plotting.clustering.PIXELS_FROM", 10)
    plot_clustering(np.random.default_rng(4).random((N, 2)), found)


def test_the_estimator(found: Clustering) -> None:
    model = AffinityPropagation(affinity="precomputed", **OPTIONS).fit(GRAPH)
    assert model.labels_.tolist() == found.labels.tolist()
    new = scipy.sparse.csr_array(GRAPH[:5])
    assert (model.predict(new) < found.n_clusters).all()
    with pytest.raises(InvalidInputError, match="label -1"):
        AffinityPropagation(affinity="precomputed", n_levels=None, **OPTIONS).fit(GRAPH)


# The command line.


def run(*arguments: Any) -> Any:
    return click.testing.CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """The graph with names, and a table in another order."""
    names = [f"p{i:03}" for i in range(N)]
    write_graph(GRAPH, tmp_path / "g.zarr", names=names)
    table = pd.DataFrame({"name": names, "p": PREFERENCE, "may": CANDIDATES}).sample(frac=1, random_state=0)
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet", index=False)
    return tmp_path


COLUMNS = ["--preference-column", "p", "--candidates-column", "may"]
GO = ["--max-iter", 40, "--unrepresented", "label", "--quiet"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_are_matched_by_name(named: Path, found: Clustering, kind: str) -> None:
    out = named / "out.csv"
    done = run("cluster", named / "g.zarr", "--table", named / f"t.{kind}", *COLUMNS, *GO, "-o", out)
    assert done.exit_code in (0, 3), done.output
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [int(row["label"]) for row in rows] == found.labels.tolist()
    wanted = ["" if k < 0 else f"p{found.exemplars[k]:03}" for k in found.labels]
    assert [row["exemplar"] for row in rows] == wanted


def test_or_by_row_and_results_in_all_forms(tmp_path: Path, found: Clustering) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", scipy.sparse.csr_matrix(GRAPH))
    table = pd.DataFrame({"p": PREFERENCE, "may": CANDIDATES.astype(int)})
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    for kind in ("csv", "parquet", "zarr", "npz"):
        out = tmp_path / f"out.{kind}"
        done = run("cluster", tmp_path / "g.npz", "--table", tmp_path / "t.tsv", *COLUMNS, *GO, "-o", out)
        assert done.exit_code in (0, 3), done.output
        assert "row by row" not in done.output
    frames = [pd.read_csv(tmp_path / "out.csv"), pd.read_parquet(tmp_path / "out.parquet")]
    for frame in frames:
        assert frame["label"].tolist() == found.labels.tolist()
        assert (frame["exemplar"] == np.where(found.labels < 0, -1, found.exemplars[found.labels])).all()
        assert np.flatnonzero(frame["similarity"].isna()).tolist() == lost(found).tolist()
    assert bits(Clustering.load(tmp_path / "out.npz")) == bits(found)
    shuffled = table.assign(point=range(N))[["point", "p", "may"]].sample(frac=1, random_state=1)
    shuffled.to_csv(tmp_path / "t.csv", index=False)
    done = run("cluster", tmp_path / "g.npz", "--table", tmp_path / "t.csv", *COLUMNS, *GO, "-o", "-")
    assert [int(row["label"]) for row in csv.DictReader(done.stdout.splitlines())] == found.labels.tolist()
    table.assign(who=[f"n{i}" for i in range(N)])[["who", "p", "may"]].to_csv(tmp_path / "t.csv", index=False)
    done = run("cluster", tmp_path / "g.npz", "--table", tmp_path / "t.csv", *COLUMNS, *GO)
    assert "t.csv is taken row by row, in the order of the points" in done.output
    assert "have no names to match its column 'who' with. Give them with --names, if" in done.output


@pytest.mark.filterwarnings("ignore")
def test_obs_of_anndata_has_none_for_them(tmp_path: Path, found: Clustering) -> None:
    data = anndata.AnnData(np.zeros((N, 1), np.float32), obsp={"s": scipy.sparse.csr_matrix(GRAPH)})
    data.write_zarr(tmp_path / "d.zarr")
    pd.DataFrame({"p": PREFERENCE, "may": CANDIDATES}).to_csv(tmp_path / "t.csv", index=False)
    graph = tmp_path / "d.zarr" / "obsp" / "s"
    done = run(
        "cluster",
        graph,
        "--table",
        tmp_path / "t.csv",
        *COLUMNS,
        *GO,
        "--obs",
        "e",
        "-o",
        tmp_path / "d.zarr",
    )
    assert done.exit_code in (0, 3), done.output
    obs = anndata.read_zarr(tmp_path / "d.zarr").obs
    assert np.flatnonzero(obs["e"].isna()).tolist() == lost(found).tolist()
    assert np.flatnonzero(obs["e_similarity"].isna()).tolist() == lost(found).tolist()


def test_the_summary_counts_them_and_the_error_names_them(named: Path, found: Clustering) -> None:
    given = ["cluster", named / "g.zarr", "--table", named / "t.csv", *COLUMNS, "--max-iter", 40]
    done = run(*given, "--unrepresented", "label")
    assert f"unrepresented   {found.n_unrepresented}  (labelled -1)" in done.output
    refused = run(*given)
    assert refused.exit_code == 2
    assert f"{found.n_unrepresented} of the points may not be exemplars" in refused.output
    assert f"that may: p{lost(found)[0]:03}, p{lost(found)[1]:03}," in refused.output
    assert "with --unrepresented label they are labelled -1" in refused.output


@pytest.mark.parametrize(
    ("change", "more", "text"),
    [
        (lambda t: t.iloc[3:], [], "has no row for 3 points of the graph: "),
        (lambda t: pd.concat([t, t.iloc[:2]]), [], "has 2 points again, such as "),
        (lambda t: t.replace({"name": {"p000": "q"}}), [], "has 1 points that the graph does not have: q."),
        (lambda t: t.drop(columns="may"), [], "and none named 'may' (--candidates-column). Name one"),
        (lambda t: t.replace({"p": {-0.01: np.nan}}), [], "row 1 has ''; a number (inf and -inf are some)"),
        (lambda t: t.assign(may="perhaps"), [], "row 1 has 'perhaps'; true or false (or 1 or 0) is needed"),
        (lambda t: t[["p", "may"]], [], "the first column, 'p', is taken for what names the points"),
        (lambda t: t, ["--preference", 1], "--preference-column and --preference were given"),
        (lambda t: t, ["--quantile", 0.5], "--preference-column and --quantile were given"),
        (lambda t: t, ["--scheme", "classic"], "--scheme classic was given with candidates"),
    ],
)
def test_tables_that_do_not_fit_are_refused(named: Path, change: Any, more: list[Any], text: str) -> None:
    change(pd.read_csv(named / "t.csv").sort_values("name")).to_csv(named / "u.csv", index=False)
    done = run("cluster", named / "g.zarr", "--table", named / "u.csv", *COLUMNS, *GO, *more)
    assert done.exit_code == 2
    assert text in done.output


def test_columns_need_a_table_and_a_table_columns(named: Path) -> None:
    done = run("cluster", named / "g.zarr", *COLUMNS)
    assert "--preference-column names a column, but not of what: give --table, a file." in done.output
    done = run("cluster", named / "g.zarr", "--table", named / "t.csv")
    assert "no column of it: name one, such as by --weights-column." in done.output


def test_rows_in_order_must_be_as_many_as_points(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", scipy.sparse.csr_matrix(GRAPH))
    pd.DataFrame({"p": PREFERENCE[1:]}).to_csv(tmp_path / "t.csv", index=False)
    done = run("cluster", tmp_path / "g.npz", "--table", tmp_path / "t.csv", "--preference-column", "p")
    assert "has 599 rows, and the graph 600 points, which have no names" in done.output


# Never further than.

LEAST = float(np.quantile(GRAPH.data, 0.4))
NEAR = {"min_similarity": LEAST, "preference": -0.02, "max_iter": 40}


def without_weaker(least: float) -> Any:
    coo = GRAPH.tocoo()
    kept = coo.data >= np.float32(least)
    pairs = (coo.row[kept], coo.col[kept])
    return scipy.sparse.csr_array(scipy.sparse.coo_array((coo.data[kept], pairs), shape=coo.shape))


def test_a_threshold_is_a_graph_without_weaker_edges(tmp_path: Path) -> None:
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    options = {k: v for k, v in NEAR.items() if k != "min_similarity"}
    wanted = bits(affinity_propagation(without_weaker(LEAST), **options))
    assert wanted != bits(affinity_propagation(GRAPH, **options))
    for graph in (GRAPH, path, open_graph(path)):
        for more in ({"n_jobs": 1}, {"n_jobs": 2}):
            assert bits(affinity_propagation(graph, **NEAR, **more)) == wanted
    assert bits(affinity_propagation(GRAPH, **NEAR, reorder=True)) == wanted


@pytest.mark.parametrize("scheme", ["classic", "compact"])
def test_the_default_preference_is_the_median_of_what_is_left(scheme: Any) -> None:
    options: dict[str, Any] = {"scheme": scheme, "max_iter": 40}
    one = affinity_propagation(GRAPH, min_similarity=LEAST, **options)
    assert bits(one) == bits(affinity_propagation(without_weaker(LEAST), **options))
    assert one.preference == np.median(without_weaker(LEAST).data)


def test_just_as_similar_is_enough_in_the_precision_of_the_graph() -> None:
    pair = np.array([[0, -0.6], [-0.6, 0]], np.float32)
    assert float(np.float32(-0.6)) < -0.6
    graph = scipy.sparse.csr_array(pair)
    assert affinity_propagation(graph, preference=[-9, -8], min_similarity=-0.6, max_iter=300).n_clusters == 1
    assert (
        affinity_propagation(graph, preference=[-9, -8], min_similarity=-0.5999, max_iter=300).n_clusters == 2
    )
    double = scipy.sparse.csr_array(pair.astype(float))
    assert (
        affinity_propagation(double, preference=[-9, -8], min_similarity=-0.6, max_iter=300).n_clusters == 2
    )


@pytest.mark.parametrize("wrong", [np.nan, np.inf, "0.5", True + 1j])
def test_a_threshold_is_a_finite_number(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"min_similarity=.*; it must be a finite number, or None"):
        affinity_propagation(GRAPH, min_similarity=wrong)


def test_a_checkpoint_is_of_its_threshold(tmp_path: Path) -> None:
    options = NEAR | {"checkpoint": tmp_path, "checkpoint_every": 5}
    affinity_propagation(GRAPH, **options | {"max_iter": 11})
    wanted = bits(affinity_propagation(GRAPH, **NEAR))
    assert bits(affinity_propagation(GRAPH, **options, resume=True)) == wanted
    with pytest.raises(CheckpointError, match=r"another run: min_similarity was .* and is None[.]"):
        affinity_propagation(GRAPH, **options | {"min_similarity": None}, resume=True)


def test_edges_that_were_left_out_do_not_matter_below_the_threshold(tmp_path: Path) -> None:
    write_graph(GRAPH, tmp_path / "g.zarr", min_similarity=LEAST)
    with pytest.raises(InvalidInputError, match="Write the graph again"):
        affinity_propagation(tmp_path / "g.zarr", preference=-1, min_similarity=LEAST)
    higher = LEAST / 2
    found = affinity_propagation(tmp_path / "g.zarr", preference=-1, min_similarity=higher, max_iter=40)
    wanted = affinity_propagation(GRAPH, preference=-1, min_similarity=higher, max_iter=40)
    assert bits(found) == bits(wanted)
    exactly = affinity_propagation(tmp_path / "g.zarr", n_clusters=250, min_similarity=higher)
    assert exactly.n_clusters == 250


def test_whom_nobody_similar_enough_can_represent() -> None:
    with pytest.raises(InvalidInputError, match=f"no edge of similarity {LEAST:g} or more to any"):
        affinity_propagation(GRAPH, candidates=CANDIDATES, min_similarity=LEAST)


def test_the_options_of_the_threshold(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", scipy.sparse.csr_matrix(GRAPH))
    given = [tmp_path / "g.npz", f"--min-similarity={LEAST!r}", "--quiet"]
    run("cluster", *given, "-o", tmp_path / "c.npz")
    found = Clustering.load(tmp_path / "c.npz")
    assert bits(found) == bits(affinity_propagation(GRAPH, min_similarity=LEAST))
    run("tree", *given, "-o", tmp_path / "t.npz")
    assert bits(sparse_ap.Hierarchy.load(tmp_path / "t.npz").clusterings[0]) == bits(found)
    model = AffinityPropagation(affinity="precomputed", min_similarity=LEAST).fit(GRAPH)
    assert bits(model.clustering_) == bits(found)


def test_points_that_nobody_represents_change_nothing_for_the_others() -> None:
    """Neither the damping, nor when the run ends, nor the search."""
    alone = affinity_propagation(GRAPH, preference=-0.02)
    more = scipy.sparse.block_diag([GRAPH, scipy.sparse.csr_array((2 * N, 2 * N), dtype=np.float32)], "csr")
    found = affinity_propagation(more, preference=-0.02, candidates=np.arange(N), unrepresented="label")
    # At first they change, too: to what they then are.
    assert found.history[40:] == alone.history[40:]
    assert len(found.history) == len(alone.history) > 40
    assert (found.labels == np.r_[alone.labels, np.full(2 * N, -1)]).all()
    assert found.net_similarity == alone.net_similarity
