"""`Clustering`: the result of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sparse_ap.kernels.block import Float64Array, FloatArray, Int64Array
from sparse_ap.propagation.history import SweepReport, history_in, history_table
from sparse_ap.propagation.outcome import Outcome, Recourse
from sparse_ap.propagation.representation.asked import Representation
from sparse_ap.storage.archives import arrays_in, write_arrays

if TYPE_CHECKING:
    from sparse_ap.propagation.prediction import Prediction

__all__ = ["Clustering"]


# Clusters of so few points, where they are the half of so many clusters, are no groups.
_TINY, _MANY = 3, 100
# Attributes that are numbers in a file, which is never without them.
_NUMBERS = (
    "net_similarity", "data_similarity", "exemplar_preference", "n_iter", "converged", "n_unsettled",
    "n_promoted",
)  # fmt: skip
# Attributes that are in a file only if they say something.
_IF_TRUE = ("bound_is_complete", "optimal", "n_collapsed")
_IF_KNOWN = ("n_clusters_bound", "weighted_sizes", "min_similarity")


@dataclass(frozen=True, slots=True, eq=False)
class Clustering(Representation):
    """The result of affinity propagation: the exemplars, and the exemplar of each point.

    Attributes
    ----------
    labels : ndarray of int64, shape (n_points,)
        ``exemplars[labels[i]]`` represents point i. -1: nobody can represent the point, which only occurs
        with ``unrepresented="label"``; without, a point with no edge to any exemplar is an exemplar itself.
    exemplars : ndarray of int64, shape (n_clusters,)
        The exemplars' indices, ascending.
    similarities : ndarray of float32 or float64, shape (n_points,)
        s(i, c_i) of each point to its exemplar; 0 for the exemplars, NaN for points that nobody represents,
        and, with ``Outcome.GROUPED``, where it is not known.
    net_similarity : float
        The objective of affinity propagation: the sum of s(i, c_i) over points that are not exemplars, plus
        the preferences of the exemplars. Computed from the labels, in float64. Preferences of +inf, and
        points that nobody represents, add nothing to it. With weights, each similarity counts as often as
        its point weighs. NaN with ``Outcome.GROUPED``, like the two sums.
    data_similarity : float
        The first of these two sums.
    exemplar_preference : float
        The second of these two sums.
    n_iter : int
        Number of sweeps. With ``n_clusters``, this and all further attributes are those of the last run.
    converged : bool
        Whether the stop rule was met before ``max_iter``; True where few sweeps are the plan: of `extend`,
        and with ``start``.
    outcome : Outcome
        How the run ended; its value is advice.
    n_unsettled : int
        Points whose status was not the same after each of the last ``convergence_iter`` sweeps.
    n_promoted : int
        Points made exemplars after the last sweep because others had no edge to an exemplar.
    history : tuple of SweepReport
        One report for each sweep of the messages. The exemplars returned are those of the best sweep
        evaluated, repaired and refined; their number may differ from the last report's.
    net_similarity_bound : float or None
        A number that no clustering of this graph exceeds; None without ``certify``.
    bound_is_complete : bool
        Whether no clustering of the complete graph exceeds it, either: with ``certify="complete"``.
    preference : float or None
        The preference that all points share which are not always or never exemplars, given or found; None
        if preferences differ.
    n_clusters_bound : int or None
        Of `cover` with ``certify``: no set of fewer exemplars covers the graph. Else None.
    weighted_sizes : ndarray of float64, shape (n_clusters,), or None
        The weights of the points in each cluster, added up; None without ``weights``.
    optimal : bool
        Whether no clustering has a larger net similarity: of the graph, or of the complete graph if
        ``bound_is_complete``. It follows from the bound, or is proven within HiGHS's tolerance. Of `cover`:
        whether no cover has fewer exemplars. False: not proven, or ``certify`` was not given.
    n_collapsed : int
        Points for which an equal one stood during the run, with ``collapse_duplicates``.
    recourse : Recourse or None
        Of `extend`: the rows that were opened, closed and moved. Else None.
    min_similarity : float or None
        The least similarity of a point to its exemplar that the run allowed, as it was given; None: any.
    """

    __module__ = "sparse_ap"  # where pickles look for it, wherever it is defined

    labels: Int64Array
    exemplars: Int64Array
    similarities: FloatArray
    net_similarity: float
    data_similarity: float
    exemplar_preference: float
    n_iter: int
    converged: bool
    outcome: Outcome
    n_unsettled: int
    n_promoted: int
    history: tuple[SweepReport, ...]
    net_similarity_bound: float | None = None
    preference: float | None = None
    bound_is_complete: bool = False
    n_clusters_bound: int | None = None
    weighted_sizes: Float64Array | None = None
    optimal: bool = False
    n_collapsed: int = 0
    recourse: Recourse | None = None
    min_similarity: float | None = None

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.exemplars)

    @property
    def sizes(self) -> Int64Array:
        """Points in each cluster, shape (n_clusters,)."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n_clusters)

    @property
    def mostly_tiny(self) -> bool:
        """Whether there are over 100 clusters, half of them of at most 3 points: too small for groups."""
        return self.n_clusters > _MANY and float(np.median(self.sizes)) <= _TINY

    @property
    def n_unrepresented(self) -> int:
        """Number of points that nobody represents, with the label -1."""
        return int(np.count_nonzero(self.labels < 0))

    @property
    def optimality_gap(self) -> float | None:
        """Distance of the net similarity from its bound, relative to the former; 0: proven optimal."""
        if self.net_similarity_bound is None:
            return None
        missing = self.net_similarity_bound - self.net_similarity
        return missing / abs(self.net_similarity) if self.net_similarity else missing

    def predict(
        self,
        X: Any,
        points: Any = None,
        *,
        metric: str | None = None,
        similarity: str | None = None,
        min_similarity: float | None = None,
        n_jobs: int | None = None,
    ) -> Prediction:
        """Assign new points to their most similar exemplars.

        Parameters
        ----------
        X : array-like or sparse matrix
            Similarities of shape (n_new, n_points) to the points of this clustering; an entry that is not
            stored, or -inf, means that k cannot represent i. With ``points``: new points, of shape (n_new,
            n_features).
        points : array-like or sparse matrix, shape (n_points, n_features) or (n_clusters, n_features)
            The points of this clustering, or those of its exemplars; None: ``X`` holds similarities.
        metric : str, optional
            For points: the distance, as for `sparse_ap.graphs.knn_graph`; None: "euclidean".
        similarity : {"-d", "-d**2", "1-d"}, optional
            For points: conversion of a distance to a similarity, as for `sparse_ap.graphs.knn_graph`.
        min_similarity : float, optional
            New points that are less similar to every exemplar are labelled -1. It is rounded to the dtype of
            the similarities, and one that is equal to it stays.
        n_jobs : int, optional
            For points: number of threads; None or -1: one per processor.

        Returns
        -------
        Prediction
            Of equally similar exemplars the first. For the points of the clustering itself use ``labels``.

        Warns
        -----
        ConvergenceWarning
            Without ``min_similarity``: there are new points without an entry for any exemplar, labelled -1.

        Raises
        ------
        InvalidInputError
            A shape does not fit, an entry is NaN, or an option is wrong, or for the other kind of ``X``.
        """
        # Imported here, since it imports the search for neighbours.
        from sparse_ap.propagation.prediction import predicted

        return predicted(
            X, points, self.exemplars, len(self.labels), metric=metric, similarity=similarity,
            min_similarity=min_similarity, n_jobs=n_jobs,
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the clustering to an uncompressed ``.npz`` file: one array per attribute, and a version.

        Parameters
        ----------
        path : path-like
            Where to write. An existing file is replaced once the new one is complete.
            ``numpy.load(path)["labels"]`` reads it back.

        Raises
        ------
        InvalidInputError
            The folder does not exist, or nothing can be written there.
        """
        write_arrays(Path(path), "clustering", self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a clustering that `save` wrote.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        InvalidInputError
            The file holds no clustering, or was written by a later version of sparse_ap.
        """
        with arrays_in(path, "clustering", "Clustering.save") as arrays:
            return cls.from_arrays(arrays)

    def arrays(self) -> dict[str, Any]:
        """Return every attribute by its name in files; names are part of the format."""
        return {
            **{name: getattr(self, name) for name in ("labels", "exemplars", "similarities", *_NUMBERS)},
            "outcome": self.outcome.name,
            "history": history_table(self.history),
            "net_similarity_bound": _or_nan(self.net_similarity_bound),
            "preference": _or_nan(self.preference),
            # Not there where they say nothing: files are then what earlier versions wrote.
            **{name: getattr(self, name) for name in _IF_TRUE if getattr(self, name)},
            **{name: getattr(self, name) for name in _IF_KNOWN if getattr(self, name) is not None},
            **({} if self.recourse is None else self.recourse.arrays()),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Return the clustering in the arrays of a file; attributes that may be None may be missing."""
        return cls(
            labels=arrays["labels"],
            exemplars=arrays["exemplars"],
            similarities=arrays["similarities"],
            **{name: arrays[name].item() for name in _NUMBERS},
            outcome=Outcome[arrays["outcome"].item()],
            history=history_in(arrays["history"]),
            net_similarity_bound=_number_in(arrays, "net_similarity_bound"),
            preference=_number_in(arrays, "preference"),
            bound_is_complete=bool(_number_in(arrays, "bound_is_complete")),
            n_clusters_bound=_count_in(arrays, "n_clusters_bound"),
            weighted_sizes=arrays.get("weighted_sizes"),
            optimal=bool(_number_in(arrays, "optimal")),
            n_collapsed=_count_in(arrays, "n_collapsed") or 0,
            recourse=Recourse.from_arrays(arrays),
            min_similarity=_number_in(arrays, "min_similarity"),
        )

    def __setstate__(self, state: Sequence[Any]) -> None:
        """Take the state in a pickle; attributes that were not known then have their defaults."""
        known = fields(self)
        for attribute, value in zip(known, state, strict=False):
            object.__setattr__(self, attribute.name, value)
        for attribute in known[len(state) :]:
            object.__setattr__(self, attribute.name, attribute.default)

    def __repr__(self) -> str:
        """Return the numbers of points and exemplars, the net similarity, and the outcome."""
        return (
            f"Clustering({len(self.labels)} points, {self.n_clusters} exemplars, "
            f"net similarity {self.net_similarity:.6g}, {self.n_iter} sweeps, {self.outcome.name})"
        )


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _number_in(arrays: Mapping[str, Any], name: str) -> float | None:
    """Return a number from a file; None if it is missing or NaN."""
    value: float = arrays[name].item() if name in arrays else np.nan
    return None if np.isnan(value) else value


def _count_in(arrays: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number from a file; None if it is missing or NaN."""
    value = _number_in(arrays, name)
    return None if value is None else int(value)
