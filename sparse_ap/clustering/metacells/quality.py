"""`metacell_quality`: how compact metacells are, and how far apart, by the definitions of SEACells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.arguments import require_count
from sparse_ap.clustering.metacells.metacells import points_of, require_anndata
from sparse_ap.clustering.metacells.sums import group_sums
from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.knn import knn_graph
from sparse_ap.kernels.block import Float64Array
from sparse_ap.kernels.elementary import exponentials

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

__all__ = ["metacell_quality"]

# Eigenvectors, of which the first is the same everywhere and left out.
_EIGENVECTORS = 10
_TOLERANCE = 1e-6


def metacell_quality(
    adata: AnnData,
    metacell: str = "metacell",
    *,
    use_rep: str = "X_pca",
    n_neighbors: int = 30,
    n_jobs: int | None = None,
) -> DataFrame:
    """Measure metacells in diffusion components of the cells, by the definitions of SEACells [1]_.

    The diffusion components are those of palantir, which SEACells uses: nine eigenvectors of the random walk
    on the graph of nearest neighbours, with weights exp(-d / s), s a cell's distance to its tenth neighbour,
    each scaled by λ / (1 - λ). Parts of the graph that no edge links are measured each by itself, since
    components across them are not defined.

    Parameters
    ----------
    adata : anndata.AnnData
        With an embedding.
    metacell : str
        Column of ``adata.obs`` with the metacell of each cell, of any method.
    use_rep : str
        Name of the embedding in ``adata.obsm``.
    n_neighbors : int
        Neighbours in the graph, at least 3. As in scanpy the cell itself counts.
    n_jobs : int, optional
        As for `sparse_ap.graphs.knn_graph`.

    Returns
    -------
    pandas.DataFrame
        A row for each metacell. ``n_cells``; ``compactness``: the variance of its cells in each diffusion
        component, averaged over these, smaller is better; ``separation``: the distance of its mean to that of
        the nearest metacell, larger is better. NaN: a single cell has no variance, and the only metacell of
        its part no neighbour; both for metacells that lie in several parts, and in parts of ten cells or
        fewer. Last bits depend on the processor.

    Raises
    ------
    MissingDependencyError
        anndata is not installed: the extra ``anndata``.
    InvalidInputError
        The column or the embedding is missing, or there are fewer cells than neighbours.

    References
    ----------
    .. [1] S. Persad et al. SEACells infers transcriptional and epigenomic cellular states from single-cell
       genomics data. Nature Biotechnology 41, 2023.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import sparse_ap
    >>> cells = np.random.default_rng(0).normal(size=(300, 3))
    >>> adata = anndata.AnnData(np.ones((300, 1)), obsm={"X_pca": cells})
    >>> found = sparse_ap.metacells(adata, cells_each=30)
    >>> sparse_ap.metacell_quality(adata).shape
    (10, 3)
    """
    optional_modules("metacell_quality", "anndata", "anndata")
    import pandas as pd

    from sparse_ap.clustering.metacells.columns import missing_column

    require_anndata(adata)
    if metacell not in adata.obs:
        raise missing_column(adata.obs, metacell)
    groups = pd.Categorical(adata.obs[metacell]).remove_unused_categories()
    if (groups.codes < 0).any():
        raise InvalidInputError(f"obs[{metacell!r}] is missing for some cells; leave these out.")
    require_count("n_neighbors", n_neighbors)
    if not 3 <= n_neighbors <= adata.n_obs:
        raise InvalidInputError(f"n_neighbors={n_neighbors}; from 3 to {adata.n_obs}, the cells, is needed.")
    kernel = _kernel(points_of(adata, use_rep), n_neighbors, n_jobs)
    labels = groups.codes.astype(np.int64)
    compactness, separation = _measured(kernel, labels, len(groups.categories))
    table = {"n_cells": np.bincount(labels), "compactness": compactness, "separation": separation}
    return pd.DataFrame(table, index=pd.Index(groups.categories, name=metacell))


def _kernel(points: Any, n_neighbors: int, n_jobs: int | None) -> scipy.sparse.csr_array:
    """Return palantir's symmetric weights between neighbours."""
    graph = knn_graph(points, n_neighbors - 1, similarity="-d", n_jobs=n_jobs)
    distances = -graph.data.astype(np.float64).reshape(-1, n_neighbors - 1)
    scale = np.sort(distances, axis=1)[:, n_neighbors // 3 - 1]
    # Where ten neighbours are equal to the cell, all that are farther have no weight.
    ratio = np.where(distances > 0, np.inf, 0.0)
    np.divide(distances, scale[:, None], out=ratio, where=scale[:, None] > 0)
    weights = exponentials(-ratio.ravel())
    one_way = scipy.sparse.csr_array((weights, graph.indices, graph.indptr), shape=graph.shape)
    return (one_way + one_way.T).tocsr()


def _measured(
    kernel: scipy.sparse.csr_array, labels: NDArray[np.int64], n_groups: int
) -> tuple[Float64Array, Float64Array]:
    """Return compactness and separation, measured in each part of the graph."""
    from scipy.sparse.csgraph import connected_components

    compactness, separation = np.full((2, n_groups), np.nan)
    n_parts, part = connected_components(kernel, directed=False)
    order = np.argsort(part, kind="stable")
    sizes = np.bincount(labels, minlength=n_groups)
    for cells in np.split(order, np.cumsum(np.bincount(part, minlength=n_parts))[:-1]):
        if len(cells) <= _EIGENVECTORS:
            continue
        here, code, count = np.unique(labels[cells], return_inverse=True, return_counts=True)
        whole = count == sizes[here]
        components = _diffusion_components(kernel[cells][:, cells])
        means, variances = _moments(components, code, count)
        compactness[here[whole]] = variances[whole]
        separation[here[whole]] = _to_nearest(means)[whole]
    return compactness, separation


def _diffusion_components(kernel: scipy.sparse.csr_array) -> Float64Array:
    """Return the scaled eigenvectors of the random walk on a connected graph, shape (n, 9)."""
    from scipy.sparse.linalg import eigsh

    root = np.sqrt(np.asarray(kernel.sum(axis=1)).ravel())
    symmetric = scipy.sparse.diags_array(1 / root) @ kernel @ scipy.sparse.diags_array(1 / root)
    values, vectors = eigsh(symmetric, _EIGENVECTORS, which="LA", v0=root, tol=_TOLERANCE)
    order = np.argsort(values)[::-1][1:]
    value, vector = values[order], vectors[:, order] / root[:, None]
    return np.asarray(vector / np.linalg.norm(vector, axis=0) * (value / (1 - value)))


def _moments(
    components: Float64Array, code: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[Float64Array, Float64Array]:
    """Return the mean of each group, and the variance, averaged over the components."""
    means = group_sums(components, code, count) / count[:, None]
    squares = group_sums((components - means[code]) ** 2, code, count).mean(axis=1)
    return means, np.divide(squares, count - 1, out=np.full(len(count), np.nan), where=count > 1)


def _to_nearest(means: Float64Array) -> Float64Array:
    """Return the distance of each mean to the nearest other one."""
    if len(means) < 2:
        return np.full(len(means), np.nan)
    graph = knn_graph(means, 1, similarity="-d", recall=1)
    return np.asarray(-graph.data, np.float64)
