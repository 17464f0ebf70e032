"""Metacells: counts added up exactly, columns at every level, SEACells' measures beside plain definitions."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import sparse_ap
from sparse_ap import InvalidInputError, metacell_quality, metacells
from sparse_ap.clustering.metacells import sums
from sparse_ap.clustering.metacells.columns import commonest
from sparse_ap.graphs import knn_graph

N, GENES, EACH = 160, 12, 16


def cells(counts: Any = None, apart: float = 0.0) -> anndata.AnnData:
    """Return cells in two halves, with counts of their own, an embedding and a type."""
    rng = np.random.default_rng(0)
    half = np.arange(N) % 2
    drawn = rng.negative_binomial(2, 0.4, (N, GENES)).astype(np.float32)
    obs = pd.DataFrame(
        {"type": pd.Categorical(np.where(half, "B", "A")), "batch": rng.integers(3, size=N)},
        index=[f"cell-{number}" for number in range(N)],
    )
    var = pd.DataFrame({"chromosome": "1"}, index=[f"gene-{number}" for number in range(GENES)])
    points = rng.normal(size=(N, 3)) + apart * half[:, None]
    X = scipy.sparse.csr_matrix(drawn) if counts is None else counts(drawn)
    return anndata.AnnData(X, obs=obs, var=var, obsm={"X_pca": points})


@pytest.fixture(scope="module")
def grouped() -> tuple[anndata.AnnData, anndata.AnnData]:
    """Cells, and their metacells: for reading."""
    adata = cells()
    return adata, metacells(adata, EACH, obs_keys=["type", "batch"])


def added_up(counts: Any, adata: anndata.AnnData, names: Any) -> Any:
    """Return the sums by a loop over metacells, in the order of their names."""
    dense = counts.toarray() if scipy.sparse.issparse(counts) else np.asarray(counts)
    wide = dense.astype(np.float64)
    return np.array([wide[(adata.obs["metacell"] == name).to_numpy()].sum(axis=0) for name in names])


@pytest.mark.parametrize(
    ("form", "dtype"),
    [
        (scipy.sparse.csr_matrix, np.float64),
        (scipy.sparse.csc_array, np.float64),
        (np.asarray, np.float64),
        (lambda drawn: scipy.sparse.csr_matrix(drawn.astype(np.uint16)), np.int64),
        (lambda drawn: drawn.astype(np.int32), np.int64),
    ],
    ids=["csr", "csc", "dense", "uint16", "int32"],
)
def test_counts_are_added_up(form: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_ROWS", 50)
    adata = cells(form)
    labels = np.random.default_rng(1).permutation(np.arange(N) % (N // EACH))
    adata.obs["metacell"] = labels
    found = sums.summed_counts(adata.X, labels, N // EACH, "adata.X")
    assert found.shape == (N // EACH, GENES)
    assert found.dtype == dtype
    assert (found.toarray() == added_up(adata.X, adata, range(N // EACH))).all()


def test_fractions_are_told_before_the_run_and_columns_turned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = scipy.sparse.csc_matrix(np.eye(20, 3))
    turned = []
    to_rows = scipy.sparse.csc_matrix.tocsr
    monkeypatch.setattr(
        scipy.sparse.csc_matrix, "tocsr", lambda self, copy=False: turned.append(1) or to_rows(self, copy)
    )
    assert not sums.require_counts(counts, "adata.X")
    sums.summed_counts(counts, np.zeros(20, np.int64), 1, "adata.X")
    assert len(turned) == 1
    few = cells(lambda drawn: scipy.sparse.csc_matrix(drawn / 2))
    del few.obsm["X_pca"]
    with pytest.raises(UserWarning, match=r"adata\.X has fractions"):
        metacells(few, EACH)


def test_columns_of_every_level(grouped: tuple[anndata.AnnData, anndata.AnnData]) -> None:
    adata, found = grouped
    assert found.var.equals(adata.var)
    assert (found.X.toarray() == added_up(adata.X, adata, found.obs_names)).all()
    levels = [name for name in adata.obs if name.startswith("metacell") and not name.endswith("exemplar")]
    assert levels[:2] == ["metacell", "metacell_1"]
    finer = None
    for level in levels:
        column, is_exemplar = adata.obs[level], adata.obs[f"{level}_is_exemplar"]
        assert list(column.cat.categories) == list(adata.obs_names[is_exemplar])
        assert (column[is_exemplar] == adata.obs_names[is_exemplar]).all()
        if finer is not None:
            assert (adata.obs.groupby(finer, observed=True)[level].nunique() == 1).all()
            assert list(found.obs[level]) == list(adata.obs[level][found.obs_names])
        finer = level
    assert list(found.obs_names) == list(adata.obs["metacell"].cat.categories)
    assert (found.obs["n_cells"] == adata.obs["metacell"].value_counts()[found.obs_names]).all()
    groups = adata.obs.groupby("metacell", observed=True)
    for key in ("type", "batch"):
        share = groups[key].agg(lambda values: values.value_counts(normalize=True).iloc[0])
        np.testing.assert_allclose(found.obs[f"{key}_purity"], share[found.obs_names])
        mode = groups[key].agg(lambda values: values.value_counts().sort_index().idxmax())
        assert list(found.obs[key]) == list(mode[found.obs_names])
    mean = pd.DataFrame(adata.obsm["X_pca"], adata.obs_names).groupby(adata.obs["metacell"], observed=True)
    np.testing.assert_allclose(found.obsm["X_pca"], mean.mean().loc[found.obs_names])


def test_files_layers_and_raw(grouped: tuple[anndata.AnnData, anndata.AnnData], tmp_path: Path) -> None:
    """Counts in a layer, in raw, and on disk; what comes out can be written and read."""
    adata, in_x = cells(), grouped[1]
    adata.raw = adata.copy()
    adata.layers["counts"] = adata.X.copy()
    few = adata[:, :5].copy()
    few.X = few.X.log1p()
    few.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    read = anndata.read_h5ad(tmp_path / "cells.h5ad")
    raw = metacells(read, EACH, use_raw=True)
    assert list(raw.var_names) == list(adata.var_names)
    assert (raw.X != in_x.X).nnz == 0
    layer = metacells(read, EACH, layer="counts", overwrite=True)
    assert abs(layer.X - in_x.X[:, :5]).nnz == 0
    with pytest.warns(UserWarning, match=r"adata\.X has fractions.*layer="):
        summed = metacells(backed, EACH)
    np.testing.assert_allclose(summed.X.toarray(), added_up(few.X, backed, summed.obs_names), rtol=1e-6)
    backed.file.close()
    layer.write_h5ad(tmp_path / "metacells.h5ad")
    again = anndata.read_h5ad(tmp_path / "metacells.h5ad")
    assert (again.X != layer.X).nnz == 0
    assert again.obs["metacell_1"].astype(str).equals(layer.obs["metacell_1"].astype(str))


def test_a_view_becomes_a_copy() -> None:
    adata = cells()
    view = adata[adata.obs["type"] == "A"]
    found = metacells(view, EACH)
    assert "metacell" not in adata.obs
    assert not view.is_view
    assert (found.X.toarray() == added_up(view.X, view, found.obs_names)).all()


def test_graph_of_scanpy_and_its_size() -> None:
    adata = cells()
    adata.obsp["distances"] = abs(knn_graph(adata.obsm["X_pca"], 3 * EACH // 2, similarity="-d"))
    found = metacells(adata, EACH, obsp="distances", key_added="by_graph")
    by_points = metacells(adata, EACH, smoothing=0)
    assert list(found.obs_names) == list(by_points.obs_names)
    assert "X_pca" not in found.obsm
    adata.obsp["few"] = knn_graph(adata.obsm["X_pca"], 3)
    with pytest.raises(InvalidInputError, match=r"graph of 3 neighbours a cell. Give more: n_neighbors=240"):
        metacells(adata, 80, obsp="few", overwrite=True)


def test_smoothing_moves_cells_to_the_mean_of_their_neighbours() -> None:
    adata = cells()
    found = metacells(adata, EACH, smoothing=5)
    points = adata.obsm["X_pca"]
    apart = ((points[:, None] - points) ** 2).sum(axis=2)
    adata.obsm["mean"] = points[np.argsort(apart, axis=1)[:, :6]].mean(axis=1)
    by_means = metacells(adata, EACH, use_rep="mean", smoothing=0, key_added="by_means")
    assert list(found.obs_names) == list(by_means.obs_names)
    assert adata.obs["metacell"].equals(adata.obs["by_means"])


@pytest.mark.slow
def test_limits_are_kept_and_runs_are_the_same() -> None:
    one, two = cells(), cells()
    metacells(one, EACH, min_cells=15, max_cells=30, n_jobs=1)
    sizes = metacells(two, EACH, min_cells=15, max_cells=30, n_jobs=2).obs["n_cells"]
    assert sizes.between(15, 30).all()
    assert one.obs.equals(two.obs)


def test_nothing_is_overwritten_unasked() -> None:
    adata = cells()
    adata.obs["metacell_7"] = "mine"
    before = adata.obs.copy()
    with pytest.raises(InvalidInputError, match="obs has the column 'metacell_7' already"):
        metacells(adata, EACH)
    assert adata.obs.equals(before)
    metacells(adata, EACH, overwrite=True)
    assert "metacell_7" not in adata.obs


def scaled(adata: anndata.AnnData) -> None:
    adata.X = scipy.sparse.csr_matrix(adata.X.toarray() - 1)


def named_twice(adata: anndata.AnnData) -> None:
    adata.obs_names = ["same", "same", *adata.obs_names[2:]]


def counted(adata: anndata.AnnData) -> None:
    adata.obs[["n_cells", "type_purity"]] = 1


def with_nan(adata: anndata.AnnData) -> None:
    adata.X.data[0] = np.nan


@pytest.mark.parametrize(
    ("change", "options", "text"),
    [
        (None, {"use_rep": "X_umap"}, r"obsm has no 'X_umap'; it has 'X_pca'"),
        (None, {"obsp": "distances"}, r"obsp has no 'distances'"),
        (None, {"obsp": "distances", "use_rep": "X_pca"}, "Leave one out"),
        (None, {"layer": "counts"}, r"layer='counts' was given; adata has the layers: none"),
        (None, {"use_raw": True}, r"adata.raw is None"),
        (None, {"use_raw": True, "layer": "counts"}, "in one of them"),
        (None, {"use_raw": "yes"}, "True or False"),
        (None, {"obs_keys": ["cell_type"]}, r"obs has no column 'cell_type'; it has 'type', 'batch'"),
        (None, {"obs_keys": "type"}, r"obs_keys='type' is one name; a list is needed: \['type'\]"),
        (
            counted,
            {"obs_keys": ["n_cells"]},
            "obs_keys has 'n_cells', but the result has a column of its own",
        ),
        (counted, {"obs_keys": ["type", "type_purity"]}, "obs_keys has 'type_purity', but the result"),
        (
            lambda adata: adata.obs.insert(0, "metacell", 1),
            {"obs_keys": ["metacell"], "overwrite": True},
            "obs_keys has 'metacell', a column that this call replaces",
        ),
        (None, {"key_added": ""}, "not empty"),
        (None, {"cells_each": 0}, "cells_each=0; it must be at least 1"),
        (None, {"min_cells": 1.5}, "min_cells=1.5"),
        (None, {"smoothing": -1}, "smoothing=-1; it must be a whole number, 0 or more"),
        (None, {"n_neighbors": N}, f"n_neighbors={N}"),
        (scaled, {}, r"adata\.X has negative numbers, NaN or infinity.*use_raw=True"),
        (with_nan, {}, "NaN or infinity"),
        # Before the neighbours are searched, which these refuse.
        (scaled, {"n_neighbors": N}, r"adata\.X has negative numbers"),
        (None, {"min_cells": 1.5, "n_neighbors": N}, "min_cells=1.5"),
        (None, {"min_cells": 9, "max_cells": 8, "n_neighbors": N}, "min_cells=9 was given with max_cells=8"),
        (named_twice, {}, r"'same' is that of several cells.*obs_names_make_unique"),
    ],
)
def test_bad_input_is_refused(change: Any, options: dict[str, Any], text: str) -> None:
    adata = cells()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata says that names occur twice
        if change is not None:
            change(adata)
        before = adata.obs.copy()
        with pytest.raises(InvalidInputError, match=text):
            metacells(adata, **({"cells_each": EACH} | options))
    assert adata.obs.equals(before)


def test_a_table_of_points_is_no_anndata() -> None:
    with pytest.raises(InvalidInputError, match=r"A DataFrame was given; an AnnData"):
        metacells(pd.DataFrame(np.ones((5, 2))))
    with pytest.raises(InvalidInputError, match="dtype complex64; counts"):
        sums.summed_counts(np.ones((2, 2), np.complex64), np.zeros(2, np.int64), 1, "adata.X")


@pytest.mark.parametrize("function", [metacells, metacell_quality])
def test_without_anndata_the_extra_is_named(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(sparse_ap.MissingDependencyError, match=r"pip install 'sparse-ap\[anndata\]'"):
        function(object())


def test_missing_types_count_as_others() -> None:
    values = pd.Series(pd.Categorical(["a", None, "a", None, None, "b"]))
    found, share = commonest(values, np.array([0, 0, 0, 1, 1, 2]), 3)
    assert found.isna().tolist() == [False, True, False]
    assert found[0] == "a"
    np.testing.assert_allclose(share, [2 / 3, 0, 1])
    found, share = commonest(pd.Series([None, None]), np.array([0, 1]), 2)
    assert found.isna().all()
    assert (share == 0).all()


def by_definition(points: Any, metacell: Any, n_neighbors: int) -> pd.DataFrame:
    """Return compactness and separation from a dense kernel, all its eigenvectors, and pandas' variance."""
    n, k = len(points), n_neighbors - 1
    distance = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    near = np.argsort(distance, axis=1)[:, 1 : k + 1]
    d = np.take_along_axis(distance, near, axis=1)
    weights = np.zeros((n, n))
    np.put_along_axis(weights, near, np.exp(-d / d[:, n_neighbors // 3 - 1][:, None]), axis=1)
    kernel = weights + weights.T
    values, vectors = np.linalg.eig(kernel / kernel.sum(axis=1, keepdims=True))
    order = np.argsort(-values.real)[1:10]
    unit = vectors.real[:, order] / np.linalg.norm(vectors.real[:, order], axis=0)
    groups = pd.DataFrame(unit * values.real[order] / (1 - values.real[order])).groupby(np.asarray(metacell))
    means = groups.mean()
    apart = np.sqrt(((means.to_numpy()[:, None] - means.to_numpy()) ** 2).sum(axis=2))
    nearest = np.where(np.eye(len(means)), np.inf, apart).min(axis=1)
    return pd.DataFrame({"compactness": groups.var().mean(axis=1), "separation": nearest})


@pytest.mark.parametrize("n_neighbors", [30, 12])
def test_measures_are_those_of_the_definitions(
    grouped: tuple[anndata.AnnData, anndata.AnnData], n_neighbors: int
) -> None:
    adata, _ = grouped
    found = metacell_quality(adata, n_neighbors=n_neighbors)
    expected = by_definition(adata.obsm["X_pca"], adata.obs["metacell"].astype(str), n_neighbors)
    np.testing.assert_allclose(found["compactness"], expected["compactness"][found.index], rtol=1e-4)
    np.testing.assert_allclose(found["separation"], expected["separation"][found.index], rtol=1e-4)
    assert found["n_cells"].sum() == N


def test_parts_are_measured_alone() -> None:
    """Cells of two kinds far apart; one metacell has cells of both, one is a single cell."""
    adata = cells(apart=1000.0)
    metacells(adata, EACH)
    labels = adata.obs["metacell"].astype(str)
    labels.iloc[[0, 1]] = "both"
    labels.iloc[2] = "single"
    adata.obs["metacell"] = labels
    found = metacell_quality(adata)
    assert np.isnan(found.loc["both", ["compactness", "separation"]].astype(float)).all()
    assert np.isnan(found.loc["single", "compactness"])
    assert found.loc["single", "separation"] > 0
    kind = (adata.obs["type"] == "B").to_numpy()
    alone = by_definition(adata.obsm["X_pca"][kind], labels[kind], 30).drop("both")
    np.testing.assert_allclose(found["compactness"][alone.index], alone["compactness"], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"metacell": "SEACell"}, "obs has no column 'SEACell'"),
        ({"use_rep": "X"}, "obsm has no 'X'"),
        ({"n_neighbors": 2}, f"n_neighbors=2; from 3 to {N}"),
        ({"metacell": "part"}, "missing for some cells"),
    ],
)
def test_measures_of_bad_input(options: dict[str, Any], text: str) -> None:
    adata = cells()
    adata.obs["metacell"] = "one"
    adata.obs["part"] = np.where(np.arange(N) < 5, None, "one")
    with pytest.raises(InvalidInputError, match=text):
        metacell_quality(adata, **options)
