"""`metacells`: groups of some 75 cells of an AnnData, with their counts added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from sparse_ap.arguments import is_positive_integer, require, require_count
from sparse_ap.clustering.affinity_propagation import affinity_propagation
from sparse_ap.clustering.hierarchy import hierarchy
from sparse_ap.clustering.metacells.sums import group_sums, require_counts, summed_counts
from sparse_ap.clustering.tree import Cut
from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.anndata import from_anndata
from sparse_ap.graphs.edges import top_k
from sparse_ap.graphs.knn import knn_graph
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.result import Clustering

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["metacells", "points_of", "require_anndata"]

# Neighbours whose links the levels above are made of, and the fewest that are searched.
_NEIGHBOURS = 15


@showing_compilation
def metacells(
    adata: AnnData,
    cells_each: int = 75,
    *,
    use_rep: str | None = None,
    obsp: str | None = None,
    n_neighbors: int | None = None,
    smoothing: int = 15,
    min_cells: int | None = None,
    max_cells: int | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    obs_keys: Sequence[str] = (),
    key_added: str = "metacell",
    overwrite: bool = False,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> AnnData:
    """Group cells into metacells of some 75 cells, and add up their counts.

    A metacell is a cluster of affinity propagation on the graph of nearest neighbours, and is called by its
    exemplar, one of its cells. Its counts are the exact sums of the counts of its cells. Above the metacells
    are the levels of `hierarchy`.

    Parameters
    ----------
    adata : anndata.AnnData
        Cells by genes; also ``backed``, whose counts are read some rows at a time. ``adata.obs`` gets the
        columns ``metacell``, the name of each cell's exemplar, and ``metacell_is_exemplar``; and for each
        coarser level ``metacell_1``, ``metacell_1_is_exemplar`` and so on. By that a view becomes a copy of
        its own; the table that it is a view of stays as it is.
    cells_each : int
        Cells of a metacell in the mean: there are ``n_obs / cells_each`` metacells, rounded.
    use_rep : str, optional
        Name of the embedding in ``adata.obsm`` in which neighbours are searched, by Euclidean distance.
        Default: "X_pca".
    obsp : str, optional
        Name of a graph in ``adata.obsp`` to take instead, such as "distances". It needs more than
        ``cells_each`` neighbours of each cell: `scanpy.pp.neighbors` with ``n_neighbors=110`` for 75.
    n_neighbors : int, optional
        Number of neighbours of each cell that are searched in the embedding. Default: one and a half
        times ``cells_each``, but at least 15.
    smoothing : int
        Before that search each cell is moved to the mean of itself and so many nearest neighbours: a single
        cell is noisy, and so would exemplars be. 0: cells stay where they are.
    min_cells, max_cells : int, optional
        No metacell has fewer, or more, cells. That takes a second run; the number of metacells is then near
        ``n_obs / cells_each``.
    layer : str, optional
        Name of the layer with the counts. Default: ``adata.X``.
    use_raw : bool
        Whether the counts are in ``adata.raw``, whose genes the result then has.
    obs_keys : sequence of str
        Columns of ``adata.obs``, such as the type of the cell. The result has the most frequent value of each
        metacell, and the share of its cells that have it as ``<name>_purity``.
    key_added : str
        Name of the new columns.
    overwrite : bool
        Whether columns of this name may be replaced.
    random_state, n_jobs, verbose
        As for `affinity_propagation` and `sparse_ap.graphs.knn_graph`.

    Returns
    -------
    anndata.AnnData of shape (n_metacells, n_genes)
        ``X`` has the sums, sparse: int64 of whole numbers' dtypes, else float64. ``obs_names`` are the names
        of the exemplars, in the order of the cells; ``obs`` has ``n_cells`` and the coarser levels; ``var``
        is that of the counts; ``obsm`` has the mean of the embedding.

    Warns
    -----
    UserWarning
        The counts have fractions: they may be logarithms.

    Raises
    ------
    MissingDependencyError
        anndata is not installed: the extra ``anndata``.
    InvalidInputError
        Something is missing in ``adata``, names of cells occur twice, columns are there already, the counts
        have negative numbers, or the graph has too few neighbours for metacells of this size.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import sparse_ap
    >>> counts = np.random.default_rng(0).poisson(1.0, (300, 20))
    >>> adata = anndata.AnnData(counts, obsm={"X_pca": counts[:, :5].astype(float)})
    >>> sparse_ap.metacells(adata, cells_each=30).shape
    (10, 20)
    >>> int(adata.obs["metacell_is_exemplar"].sum())
    10
    """
    (anndata,) = optional_modules("metacells", "anndata", "anndata")
    from sparse_ap.clustering.metacells import columns

    require_anndata(adata)
    require_count("cells_each", cells_each)
    _require_limits(min_cells, max_cells)
    replaced = columns.require_free(adata.obs, key_added, overwrite)
    columns.require_keys(adata.obs, obs_keys, replaced)
    counts, var, where = _counts_of(adata, layer, use_raw)
    warned = require_counts(counts, where)
    n_clusters = max(1, round(adata.n_obs / cells_each))
    search = {"random_state": random_state, "n_jobs": n_jobs}
    graph = _graph_of(adata, use_rep, obsp, n_neighbors, smoothing, cells_each, search)
    shared: dict[str, Any] = search | {"verbose": verbose}
    found = _clustered(graph, n_clusters, cells_each, min_cells, max_cells, shared)
    tree = hierarchy(top_k(graph, _NEIGHBOURS), clustering=found, **shared)
    levels = [tree.level(number) for number in range(tree.n_levels)]
    first, obs = levels[0], columns.with_columns(adata.obs, levels, key_added, replaced)
    sums = summed_counts(counts, first.labels, first.n_clusters, where, warned=warned)
    table = columns.levels_of(obs, levels, key_added)
    for name in obs_keys:
        table[name], table[f"{name}_purity"] = columns.commonest(obs[name], first.labels, first.n_clusters)
    result = anndata.AnnData(sums, obs=table, var=var.copy())
    if obsp is None:
        result.obsm[use_rep or "X_pca"] = _means(points_of(adata, use_rep or "X_pca"), first)
    adata.obs = obs
    return result


def require_anndata(adata: object) -> None:
    """Refuse what is no AnnData, or has names of cells that occur twice."""
    names = getattr(adata, "obs_names", None)
    if names is None or not hasattr(adata, "obsm"):
        raise InvalidInputError(
            f"A {type(adata).__name__} was given; an AnnData in memory, or backed, is needed: "
            "anndata.read_h5ad(path)."
        )
    if not names.is_unique:
        raise InvalidInputError(
            f"The name {names[names.duplicated()][0]!r} is that of several cells; metacells are called by "
            "their exemplars' names. Call adata.obs_names_make_unique()."
        )


def points_of(adata: Any, use_rep: str) -> Any:
    """Return an embedding of the cells."""
    if use_rep not in adata.obsm:
        raise InvalidInputError(
            f"obsm has no {use_rep!r}; it has {', '.join(map(repr, adata.obsm)) or 'nothing'}. "
            "scanpy.pp.pca(adata) makes 'X_pca'; name another embedding with use_rep."
        )
    return np.asarray(adata.obsm[use_rep])


def _require_limits(min_cells: int | None, max_cells: int | None) -> None:
    """Refuse limits that are no counts, or contradict each other, before the first of two runs."""
    require_count("min_cells", min_cells, or_none=True)
    require_count("max_cells", max_cells, or_none=True)
    if min_cells is not None and max_cells is not None and min_cells > max_cells:
        raise InvalidInputError(
            f"min_cells={min_cells} was given with max_cells={max_cells}. Give a smaller one of the first, "
            "or a larger one of the second."
        )


def _counts_of(adata: Any, layer: str | None, use_raw: bool) -> tuple[Any, Any, str]:
    """Return the matrix of counts, the table of its genes, and its name for errors."""
    require("use_raw", use_raw, isinstance(use_raw, bool), "True or False")
    if use_raw and layer is not None:
        raise InvalidInputError(f"layer={layer!r} and use_raw=True were given; counts are in one of them.")
    if use_raw and adata.raw is None:
        raise InvalidInputError("use_raw=True was given, but adata.raw is None. Give the layer instead.")
    if layer is not None and layer not in adata.layers:
        there = ", ".join(map(repr, adata.layers)) or "none"
        raise InvalidInputError(f"layer={layer!r} was given; adata has the layers: {there}.")
    if use_raw:
        return adata.raw.X, adata.raw.var, "adata.raw.X"
    if layer is not None:
        return adata.layers[layer], adata.var, f"adata.layers[{layer!r}]"
    if adata.X is None:
        raise InvalidInputError("adata.X is None; name the counts with layer= or use_raw=True.")
    return adata.X, adata.var, "adata.X"


def _graph_of(
    adata: Any, use_rep: str | None, obsp: str | None, n_neighbors: int | None, smoothing: int,
    cells_each: int, search: dict[str, Any],
) -> scipy.sparse.csr_array:  # fmt: skip
    """Return the graph that is named, or that of the nearest neighbours in the embedding."""
    not_negative = smoothing == 0 or is_positive_integer(smoothing)
    require("smoothing", smoothing, not_negative, "a whole number, 0 or more")
    if obsp is None:
        usual = min(max(3 * cells_each // 2, _NEIGHBOURS), adata.n_obs - 1)
        k = usual if n_neighbors is None else n_neighbors
        points = points_of(adata, use_rep or "X_pca")
        if smoothing:
            points = _smoothed(points, min(smoothing, adata.n_obs - 1), search)
        return knn_graph(points, k, **search)
    if use_rep is not None or n_neighbors is not None:
        raise InvalidInputError(
            f"obsp={obsp!r} names a graph; use_rep and n_neighbors are for a search. Leave one out."
        )
    return from_anndata(adata, key=obsp, similarity="-d**2" if obsp.endswith("distances") else None)


def _smoothed(points: Any, n_neighbors: int, search: dict[str, Any]) -> Any:
    """Return the mean of each point and its nearest neighbours."""
    near = knn_graph(points, n_neighbors, **search).indices.reshape(-1, n_neighbors)
    total = points.astype(np.float64)
    for column in near.T:
        total += points[column]
    return (total / (n_neighbors + 1)).astype(_floats(points))


def _clustered(
    graph: scipy.sparse.csr_array, n_clusters: int, cells_each: int, min_cells: int | None,
    max_cells: int | None, shared: dict[str, Any],
) -> Clustering:  # fmt: skip
    """Return so many clusters; with limits, about as many."""
    try:
        found = affinity_propagation(graph, n_clusters=n_clusters, **shared)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"No {n_clusters} metacells of some {cells_each} cells were found in a graph of "
            f"{graph.nnz / max(1, graph.shape[0]):.0f} neighbours a cell. Give more: n_neighbors="
            f"{3 * cells_each}, or scanpy.pp.neighbors(adata, n_neighbors={3 * cells_each}); or a smaller "
            f"cells_each. The reason: {error}"
        ) from error
    if min_cells is None and max_cells is None:
        return found
    limits: dict[str, Any] = {"min_cluster_size": min_cells, "max_cluster_size": max_cells}
    return affinity_propagation(graph, preference=found.preference, **limits, **shared)


def _means(points: Any, cut: Cut) -> Any:
    """Return the mean of the points of each cluster."""
    sums = group_sums(points.astype(np.float64), cut.labels, cut.sizes)
    return (sums / cut.sizes[:, None]).astype(_floats(points))


def _floats(points: Any) -> Any:
    """Return the dtype of means of points: their own, unless they are whole numbers."""
    return np.result_type(points.dtype, np.float32)
