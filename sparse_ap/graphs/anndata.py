"""`from_anndata`: a graph from an AnnData, the table that scanpy works on."""

from __future__ import annotations

from typing import Any

import scipy.sparse

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.distances import Similarity, from_distances
from sparse_ap.storage.csr import csr_of

__all__ = ["from_anndata"]


def from_anndata(
    adata: Any, *, key: str = "distances", similarity: Similarity | None = None
) -> scipy.sparse.csr_array:
    """Return a graph of an AnnData in memory, such as ``scanpy.pp.neighbors`` stores there.

    Parameters
    ----------
    adata : anndata.AnnData
        With a sparse matrix ``adata.obsp[key]``.
    key : str
        Name of the matrix. A name ending in "distances" means distances, which are converted; any other
        name, such as "connectivities", means similarities, which are used as they are.
    similarity : {"-d", "-d**2", "1-d"} or callable, optional
        Conversion of a distance d to a similarity; None: "-d".

    Returns
    -------
    csr_array of float32 or float64, shape (n_obs, n_obs)
        A copy, its points in the order of ``adata.obs_names``.

    Raises
    ------
    InvalidInputError
        The matrix is missing or dense, ``similarity`` is given for similarities, or `from_distances`
        refuses the matrix.

    Examples
    --------
    >>> import numpy as np, scanpy, sparse_ap.graphs
    >>> adata = scanpy.AnnData(np.random.default_rng(0).normal(size=(50, 5)))
    >>> scanpy.pp.neighbors(adata, n_neighbors=6, use_rep="X")
    >>> sparse_ap.graphs.from_anndata(adata).nnz
    250
    """
    graphs = getattr(adata, "obsp", None)
    if graphs is None:
        raise InvalidInputError(
            f"A {type(adata).__name__} was given; an AnnData is needed, whose graphs are in .obsp. Sparse "
            "matrices of distances are for from_distances."
        )
    if key not in graphs:
        raise InvalidInputError(
            f"obsp has no {key!r}; it has {', '.join(map(repr, graphs)) or 'nothing'}. "
            "scanpy.pp.neighbors(adata) makes 'distances' and 'connectivities'; with key_added='x' they are "
            "'x_distances' and 'x_connectivities'."
        )
    if not scipy.sparse.issparse(graphs[key]):
        raise InvalidInputError(
            f"obsp[{key!r}] is a {type(graphs[key]).__name__}; a sparse matrix in memory is needed, as "
            "scanpy.pp.neighbors makes it with knn=True. Dense similarities can be clustered as they are, by "
            "affinity_propagation."
        )
    # scanpy names them so: "distances", or "x_distances" with key_added="x".
    if key.endswith("distances"):
        return from_distances(graphs[key], similarity="-d" if similarity is None else similarity)
    if similarity is not None:
        raise InvalidInputError(
            f"similarity={similarity!r} was given for obsp[{key!r}], which holds similarities: only keys "
            "that end in 'distances' hold distances to turn into similarities. Leave it out."
        )
    # A copy: later changes of the AnnData must not change the graph.
    return scipy.sparse.csr_array(csr_of(graphs[key]), copy=True)
