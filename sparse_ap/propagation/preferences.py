"""What every point gains by being an exemplar: given, or found among the similarities."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import Execution
from sparse_ap.kernels.block import Float64Array, Int64Array, Origin
from sparse_ap.kernels.quantiles import HistogramPass, quantiles

__all__ = ["require_kept_edges", "require_summable", "resolve_preference", "similarity_quantiles"]

_LARGEST_SUMMABLE = {"float32": 1e30, "float64": 1e100}


def resolve_preference(
    preference: ArrayLike | None, quantile: float | None, execution: Execution, n_edges: int
) -> Float64Array:
    """Return every point's preference.

    Parameters
    ----------
    preference : number, array-like of shape (n_points,), or None
        None: the ``quantile`` of the stored similarities, by default their median; 0 where there is
        no edge at all, which then makes no difference.
    quantile : float in [0, 1] or None
    execution : Execution
        A graph without NaN, its diagonal left out.
    n_edges : int
        Of that graph.

    Returns
    -------
    ndarray of float64, shape (n_points,)
        Perhaps a read-only view of one number.

    Raises
    ------
    InvalidInputError
        Both were given, the length is wrong, or a preference is not finite or too large.
    """
    if preference is not None and quantile is not None:
        raise InvalidInputError(
            f"Both preference and preference_quantile={quantile} were given; they say the same thing in "
            "two ways. Give one of them."
        )
    if quantile is not None and not (isinstance(quantile, Real) and 0 <= quantile <= 1):
        raise InvalidInputError(
            f"preference_quantile={quantile}, but a quantile lies in 0 to 1: 0 is the smallest similarity "
            "(few clusters), 1 the largest (many)."
        )
    n = execution.n_points
    if preference is None:
        at = 0.5 if quantile is None else float(quantile)
        preference = similarity_quantiles(execution, n_edges, [at])[0]
    given = _numbers(preference)
    if given.shape not in {(), (1,), (n,)}:
        raise InvalidInputError(
            f"preference has shape {given.shape}; one number is needed, or one for each of the {n} points."
        )
    wrong = np.flatnonzero(~np.isfinite(np.atleast_1d(given)))
    if len(wrong):
        plural = "s" if len(wrong) > 1 else ""
        raise InvalidInputError(
            f"preference is not finite at {len(wrong)} position{plural}, the first being {wrong[0]}: "
            f"{np.atleast_1d(given)[wrong[0]]}. Every point needs a finite preference; to keep a point "
            "from becoming an exemplar give it a very low one."
        )
    require_summable(float(np.abs(given).max(initial=0)), execution.dtype)
    return np.broadcast_to(given, (n,))


def require_kept_edges(preference: Float64Array, origin: Origin) -> None:
    """Refuse preferences for which a graph lacks edges that were left out when it was written.

    Where the preference is p, a point loses by joining another along an edge of similarity p or less; at a
    lower preference it may gain.

    Raises
    ------
    InvalidInputError
    """
    lowest = float(preference.min(initial=np.inf))
    if lowest < origin.floor:
        raise InvalidInputError(
            f"The preference is as low as {lowest:g}, but the graph was written without edges of similarity "
            f"{origin.floor:g} or less (min_similarity), which may matter at preferences below that. Write "
            "the graph again with a lower min_similarity, or raise the preference."
        )


def _numbers(preference: ArrayLike) -> Float64Array:
    try:
        if np.asarray(preference).dtype.kind != "c":
            return np.asarray(preference, np.float64)
        reason = None
    except (TypeError, ValueError, OverflowError) as error:
        reason = error
    raise InvalidInputError(
        f"preference={preference!r}; real numbers are needed, or None for the median similarity."
    ) from reason


def require_summable(magnitude: float, dtype: np.dtype[Any]) -> None:
    """Refuse magnitudes whose sums would leave the range of float64."""
    most = _LARGEST_SUMMABLE[dtype.name]
    if magnitude > most:
        raise InvalidInputError(
            f"The similarities and preferences reach {magnitude:g} in absolute value; with similarities of "
            f"{dtype} at most {most:g} can be added up safely. Divide them all by one number: the clustering "
            "stays the same."
        )


def similarity_quantiles(execution: Execution, n_edges: int, at: list[float]) -> Float64Array:
    """Return quantiles of the ``n_edges`` similarities; zeros where there are none."""
    if n_edges == 0:
        return np.zeros(len(at))

    def count(histogram: HistogramPass) -> Int64Array:
        return execution.run(histogram, (), ())[1]

    return quantiles(count, execution.dtype, n_edges, at)
