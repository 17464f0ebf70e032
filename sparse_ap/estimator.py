"""The scikit-learn estimator, which translates between scikit-learn's names and those of this package."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sparse_ap.arguments import require, require_count, usable_threads
from sparse_ap.clustering.affinities import conversion_of, similarities_of
from sparse_ap.clustering.grouped import clustered_or_grouped, compared_exemplars, predicted_labels
from sparse_ap.clustering.hierarchy import hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.dask.client import active_client
from sparse_ap.graphs.distances import similarities_between
from sparse_ap.graphs.metrics import checked_metric, checked_points
from sparse_ap.graphs.neighbours.recall import EXACT
from sparse_ap.graphs.neighbours.search import nearest_of
from sparse_ap.graphs.sparse_points import checked_rows
from sparse_ap.propagation.prediction import comparable, predicted
from sparse_ap.storage.masks import array_of, filled, is_masked

__all__ = ["AffinityPropagation"]

# Parameters that are passed on as they are.
_OPTIONS = ("preference", "preference_quantile", "candidates", "unrepresented", "min_similarity",
            "collapse_duplicates", "max_cluster_size", "min_cluster_size", "n_clusters", "damping",
            "max_iter", "convergence_iter", "tol", "scheme", "refine", "reorder")  # fmt: skip
_AFFINITIES = ("nearest_neighbors", "precomputed", "precomputed_nearest_neighbors", "euclidean")


class AffinityPropagation(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Affinity propagation clustering with scikit-learn's interface.

    Parameters
    ----------
    damping : float in [0.5, 1), optional
        This and all parameters not described here: as for `affinity_propagation`.
    max_iter, convergence_iter : int, optional
    preference : float or array-like of shape (n_samples,), optional
    candidates : array-like of bool, shape (n_samples,), or of int, optional
    unrepresented : {"error", "label"}
    preference_quantile, min_similarity : float, optional
    collapse_duplicates : bool or float, optional
    max_cluster_size, min_cluster_size : int, optional
    n_clusters : int, optional
        Exact number of clusters; the search for its preference then starts from ``preference``. Where edges
        allow no clustering with so few, it is cut from the tree of `sparse_ap.hierarchy`, with a warning;
        not with ``min_similarity``, or points that are always exemplars.
    affinity : {"nearest_neighbors", "precomputed", "precomputed_nearest_neighbors", "euclidean"}
        The input of ``fit``. "nearest_neighbors": points, from which a graph with ``n_neighbors`` neighbours
        each is built. "precomputed": similarities, dense or sparse, larger is better.
        "precomputed_nearest_neighbors": a sparse matrix of distances, as
        `sklearn.neighbors.KNeighborsTransformer` returns it. "euclidean": points, all pairs compared, as in
        scikit-learn's default; for a few thousand points.
    n_neighbors : int, optional
        Number of neighbours of each point for "nearest_neighbors"; fewer for a smaller number of points. A
        cluster holds at most its exemplar and the points that have the exemplar among their neighbours.
        None: 15; with ``n_clusters`` twice the mean size of a cluster where that is more, as long as the
        graph has at most 10 million edges.
    metric : {"euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto", "hamming", \
"inner_product"}
        The distance for "nearest_neighbors", as for `sparse_ap.graphs.knn_graph`.
    similarity : {"-d**2", "-d", "1-d"} or callable, optional
        Conversion of a distance to a similarity, for the two neighbour affinities. None: "-d**2" for
        Euclidean and precomputed distances, the product itself for "inner_product", "-d" for other metrics.
    recall : float
        Share of the nearest neighbours that an approximate search must find, for "nearest_neighbors" and
        dense points, as for `sparse_ap.graphs.knn_graph`: above 0 and at most 1, which is an exact search.
    n_levels : int or None
        Number of levels of a hierarchy that starts from the clusters; see `sparse_ap.hierarchy`. None:
        until no clusters are merged. A tree that ``n_clusters`` is cut from has all its levels.
    tol, scheme, refine, reorder, random_state, n_jobs
        As for `affinity_propagation`; the last two are for the search for neighbours too.
    verbose : bool
        Whether to show the progress of the search and of the clustering, if standard error is a terminal.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n_samples,)
        Cluster of each sample; -1, with ``unrepresented="label"``, for one that nobody can represent.
    cluster_centers_indices_ : ndarray of int64, shape (n_clusters,)
        Sample numbers of the exemplars.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The exemplars' points; only if ``fit`` was given points.
    affinity_matrix_ : csr_array or ndarray, shape (n_samples, n_samples)
        The similarities that were clustered.
    recall_ : Recall or None
        Share of the nearest neighbours that the search has found: ``value``, the ``half_width`` of its 95 %
        confidence interval, and ``n_rows``, the points on which it was estimated; 1, 0 and 0 for an exact
        search. None for affinities other than "nearest_neighbors", which search nothing.
    clustering_ : Clustering
        The full result, with net similarity, outcome and history; ``Outcome.GROUPED`` if from the tree.
    hierarchy_ : Hierarchy
        Only if ``n_levels`` is not 1 (its first level is ``clustering_``), or if that is cut from it.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if ``fit`` was given a table with column names.

    See Also
    --------
    affinity_propagation : The underlying function.

    Examples
    --------
    >>> import numpy as np
    >>> from sparse_ap import AffinityPropagation
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [4, 2], [4, 4], [4, 0]])
    >>> clustering = AffinityPropagation(affinity="euclidean").fit(X)
    >>> clustering.labels_
    array([0, 0, 0, 1, 1, 1])
    >>> clustering.predict([[0, 0], [4, 4]])
    array([0, 1])
    """

    def __init__(
        self,
        *,
        damping: float | None = None,
        max_iter: int = 200,
        convergence_iter: int | None = None,
        preference: ArrayLike | None = None,
        preference_quantile: float | None = None,
        candidates: ArrayLike | None = None,
        unrepresented: str = "error",
        min_similarity: float | None = None,
        collapse_duplicates: bool | float | None = None,
        max_cluster_size: int | None = None,
        min_cluster_size: int | None = None,
        n_clusters: int | None = None,
        n_levels: int | None = 1,
        affinity: str = "nearest_neighbors",
        n_neighbors: int | None = None,
        metric: str = "euclidean",
        similarity: Any = None,
        recall: float = 0.95,
        tol: float | None = None,
        scheme: str = "auto",
        refine: str | None = "auto",
        reorder: bool | str = "auto",
        random_state: Any = 0,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.damping = damping
        self.max_iter = max_iter
        self.convergence_iter = convergence_iter
        self.preference = preference
        self.preference_quantile = preference_quantile
        self.candidates = candidates
        self.unrepresented = unrepresented
        self.min_similarity = min_similarity
        self.collapse_duplicates = collapse_duplicates
        self.max_cluster_size = max_cluster_size
        self.min_cluster_size = min_cluster_size
        self.n_clusters = n_clusters
        self.n_levels = n_levels
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.similarity = similarity
        self.recall = recall
        self.tol = tol
        self.scheme = scheme
        self.refine = refine
        self.reorder = reorder
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Cluster the samples.

        Parameters
        ----------
        X : array-like or sparse matrix
            Points of shape (n_samples, n_features), or a matrix of shape (n_samples, n_samples), as
            ``affinity`` says. In a sparse matrix of points, such as TF-IDF, a feature that is not stored
            is 0; such points are compared by "euclidean" or "cosine".
        y : ignored
        sample_weight : array-like of float, shape (n_samples,), optional
            Above 0; as ``weights`` for `affinity_propagation`.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            A `ValueError`: ``affinity`` or ``metric`` is unknown, ``metric`` is not Euclidean for
            "euclidean", or `affinity_propagation` or `sparse_ap.graphs.knn_graph` refuses the input.
        """
        known = isinstance(self.affinity, str) and self.affinity in _AFFINITIES
        require("affinity", self.affinity, known, f"one of {', '.join(_AFFINITIES)}")
        checked_metric(self.metric)
        require_count("n_levels", self.n_levels, or_none=True)
        if self.affinity == "euclidean" and self.metric != "euclidean":
            raise InvalidInputError(
                f"affinity='euclidean' was given metric={self.metric!r}; for another metric use "
                "affinity='nearest_neighbors'."
            )
        X = self._validated(X, reset=True)
        self.affinity_matrix_ = similarities_of(X, self.affinity, self)
        searched = self.affinity == "nearest_neighbors"
        # Rows of features are compared with all others.
        self.recall_ = getattr(self.affinity_matrix_, "recall", EXACT) if searched else None
        client = active_client() if self._runs_on_clusters else None
        means: dict[str, Any] = {"client": client, "n_jobs": self.n_jobs if client is None else None}
        means |= {"random_state": self.random_state, "verbose": self.verbose}
        options = {name: getattr(self, name) for name in _OPTIONS} | {"weights": sample_weight}
        self.clustering_, tree = clustered_or_grouped(self.affinity_matrix_, **options, **means)
        self.__dict__.pop("hierarchy_", None)
        if tree is not None or self.n_levels != 1:
            given = {"clustering": self.clustering_, "max_levels": self.n_levels, **means}
            self.hierarchy_ = tree or hierarchy(self.affinity_matrix_, **given)
        self.labels_ = self.clustering_.labels
        self.cluster_centers_indices_ = self.clustering_.exemplars
        self.n_iter_ = self.clustering_.n_iter
        if self._takes_points:
            self.cluster_centers_ = X[self.cluster_centers_indices_]
            compared = compared_exemplars(self.clustering_, tree)
            self._finest = None if compared is self.cluster_centers_indices_ else (compared, X[compared])
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Assign new samples to their nearest, or most similar, exemplars.

        Parameters
        ----------
        X : array-like or sparse matrix
            Points of shape (n_new, n_features), compared by ``metric``. For "precomputed", similarities of
            shape (n_new, n_samples) to the samples of ``fit``; for "precomputed_nearest_neighbors",
            distances. An entry (i, k) that is not stored means that k cannot represent i. For the samples of
            ``fit`` itself use ``labels_``: an exemplar's row need not have an entry for itself.

        Returns
        -------
        ndarray of int64, shape (n_new,)
            Labels; -1 for samples less similar to every exemplar than ``min_similarity``, and, with a
            warning, for those without an entry for any. In a cut of the tree level 0's exemplars count.

        Raises
        ------
        InvalidInputError
            ``X`` cannot be compared with the exemplars, or a similarity to an exemplar is NaN.
        """
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        if self._takes_points:
            return self._nearest_exemplars(X)
        similarity = (
            X if self.affinity == "precomputed" else similarities_between(X, conversion_of(self.similarity))
        )
        tree = getattr(self, "hierarchy_", None)
        return predicted_labels(similarity, self.clustering_, tree, self.min_similarity)

    def _nearest_exemplars(self, X: Any) -> NDArray[np.int64]:
        if self.min_similarity is not None:
            return predicted(
                X, self.cluster_centers_, self.cluster_centers_indices_, len(self.labels_),
                metric=self.metric, similarity=None if self.affinity == "euclidean" else self.similarity,
                min_similarity=self.min_similarity, n_jobs=self.n_jobs,
            ).labels  # fmt: skip
        centers = self.cluster_centers_indices_, self.cluster_centers_
        numbers, points = getattr(self, "_finest", None) or centers
        new, exemplars = comparable(X, points, self.metric)
        nearest = nearest_of(new, exemplars, self.metric, usable_threads(self.n_jobs))[0]
        return self.clustering_.labels[numbers[nearest]]

    @property
    def _runs_on_clusters(self) -> bool:
        """Whether a cluster's workers may read the graph: not with the classic scheme or ``reorder=True``."""
        sparse = scipy.sparse.issparse(self.affinity_matrix_)
        return self.scheme != "classic" and self.reorder is not True and sparse

    @property
    def _takes_points(self) -> bool:
        return self.affinity in ("nearest_neighbors", "euclidean")

    def _validated(self, X: Any, reset: bool) -> Any:
        """Check the input, and register its columns, by scikit-learn's function, which would lose a mask."""
        if is_masked(X):
            X = checked_points(X, self.metric) if self._takes_points else filled(array_of(X), -np.inf)
        elif self._takes_points and scipy.sparse.issparse(X):
            X = checked_rows(X, self.metric)
        # Similarities may be -inf, and affinity_propagation has a better message about NaN.
        return validate_data(
            self, X, reset=reset, accept_sparse=True, ensure_all_finite=self._takes_points, dtype="numeric"
        )

    def __setstate__(self, state: Any) -> None:
        """Take the state in a pickle; parameters that were not known then have their defaults."""
        super().__setstate__(type(self)().get_params() | state)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags for the input that ``fit`` accepts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = not self._takes_points
        tags.input_tags.sparse = True
        return tags
