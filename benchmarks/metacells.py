"""Metacells of cells made by lot: seconds, memory, SEACells' measures; beside them SEACells itself.

Arguments: how many cells, and `seacells` where that is to run too (`pip install SEACells ipywidgets`; a few
thousand cells). Eight types in each of which two programmes of genes go up and down, one type that turns into
another; 500 genes, 250 counts a cell, negative binomial; 30 principal components of the logarithms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import anndata
import numpy as np
import pandas as pd
import scipy.sparse
from measure import peak_memory

from sparse_ap import metacell_quality, metacells

GENES, TYPES, DEPTH, COMPONENTS, EACH, AT_A_TIME = 500, 8, 250, 30, 75, 20_000


def main() -> None:
    adata = embedded(cells(int(sys.argv[1])))
    print(f"{adata.n_obs:,} cells, {adata.X.nnz / adata.n_obs:.0f} genes a cell", flush=True)
    measured("sparse_ap", adata, lambda: metacells(adata, EACH, key_added="sparse_ap", n_jobs=2))
    if "seacells" in sys.argv[2:]:
        measured("SEACells", adata, lambda: by_seacells(adata))


def cells(n: int) -> anndata.AnnData:
    """Return cells made by lot, block by block, with their types."""
    rng = np.random.default_rng(0)
    mean, programme = means(rng)
    kind = rng.choice(TYPES, n, p=rng.dirichlet(np.full(TYPES, 3)))
    state = rng.beta(0.8, 0.8, (n, 2)).astype(np.float32)
    blocks = []
    for start in range(0, n, AT_A_TIME):
        k, s = kind[start : start + AT_A_TIME], state[start : start + AT_A_TIME]
        rate = mean[k] + np.einsum("ns,nsg->ng", s, programme[k])
        rate += np.where(k == 0, s[:, 0] ** 2, 0)[:, None] * (mean[1] - mean[0])
        rate = np.exp(rate)
        rate *= DEPTH / 2 * np.exp(rng.normal(0, 0.35, (len(k), 1))) / rate.sum(axis=1, keepdims=True)
        counts = rng.poisson(rate * rng.standard_gamma(2, rate.shape, np.float32))
        blocks.append(scipy.sparse.csr_matrix(counts.astype(np.float32)))
    obs = pd.DataFrame({"type": pd.Categorical(kind.astype(str))}, index=[f"cell-{i}" for i in range(n)])
    return anndata.AnnData(scipy.sparse.vstack(blocks, format="csr"), obs=obs)


def means(rng: np.random.Generator) -> tuple[Any, Any]:
    """Return the logarithms of each type's rates, and of the two programmes of each type."""

    def some(*shape: int, share: float) -> Any:
        return (rng.normal(size=shape) * (rng.random(shape) < share)).astype(np.float32)

    mean = rng.normal(0, 1.2, GENES).astype(np.float32) + 1.6 * some(TYPES, GENES, share=0.08)
    return mean, some(TYPES, 2, GENES, share=0.1)


def embedded(adata: anndata.AnnData) -> anndata.AnnData:
    """Add the principal components, by the covariances of dense blocks."""
    X, n = adata.X, adata.n_obs
    scale = 1e4 / np.asarray(X.sum(axis=1)).ravel()
    blocks = [slice(start, start + AT_A_TIME) for start in range(0, n, AT_A_TIME)]

    def logarithms(block: slice) -> Any:
        return np.log1p(X[block].toarray() * scale[block, None].astype(np.float32))

    centre = sum(logarithms(block).sum(axis=0, dtype=np.float64) for block in blocks) / n
    covariance = np.zeros((GENES, GENES))
    for block in blocks:
        values = logarithms(block) - centre.astype(np.float32)
        covariance += values.T @ values
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :COMPONENTS].astype(np.float32)
    adata.obsm["X_pca"] = np.concatenate([(logarithms(b) - centre.astype(np.float32)) @ axes for b in blocks])
    return adata


def measured(name: str, adata: anndata.AnnData, work: Callable[[], object]) -> None:
    """Make metacells, and print what that takes and what they are worth."""
    began, processed = time.perf_counter(), time.process_time()
    work()
    seconds, of_processor = time.perf_counter() - began, time.process_time() - processed
    print(
        f"{name}: {seconds:.0f} s, {of_processor:.0f} of processor time, peak {peak_memory() / 1e9:.2f} GB",
        flush=True,
    )
    began = time.process_time()
    quality = metacell_quality(adata, name, n_jobs=2)
    groups = adata.obs.groupby(name, observed=True)["type"]
    purity = groups.agg(lambda kinds: kinds.value_counts().iloc[0] / len(kinds))
    print(
        f"    {len(quality):,} of {quality['n_cells'].min()} to {quality['n_cells'].max()} cells; purity "
        f"{purity.mean():.4f}; compactness {quality['compactness'].mean():.2e}, median "
        f"{quality['compactness'].median():.2e}; separation {quality['separation'].mean():.2e}, median "
        f"{quality['separation'].median():.2e} (measured in {time.process_time() - began:.0f} s)",
        flush=True,
    )


def by_seacells(adata: anndata.AnnData) -> None:
    """Add the metacells of SEACells, with the settings of its tutorial."""
    import SEACells

    model = SEACells.core.SEACells(
        adata, build_kernel_on="X_pca", n_SEACells=round(adata.n_obs / EACH), n_waypoint_eigs=10,
        convergence_epsilon=1e-5,
    )  # fmt: skip
    model.construct_kernel_matrix()
    model.initialize_archetypes()
    model.fit(min_iter=10, max_iter=50)
    adata.obs["SEACells"] = adata.obs.pop("SEACell")


if __name__ == "__main__":
    main()
