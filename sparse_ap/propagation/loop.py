"""The loop over sweeps: read every block, add up the columns, update the points, stop or go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import BoolArray, Float64Array, FloatArray, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.propagation.checkpoints import Checkpoints, NoCheckpoints, Saved
from sparse_ap.propagation.history import SweepReport
from sparse_ap.propagation.incumbent import Incumbent
from sparse_ap.propagation.schemes import OwnRows, Scheme
from sparse_ap.propagation.stopping import StopRule

__all__ = ["PointState", "Propagation", "propagate"]

# Share of the old bias kept in each sweep; docs/design/0013-settling.md has the measurements.
_BIAS_DAMPING = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PointState:
    """The state of the points, which each sweep updates in place.

    Attributes
    ----------
    own : OwnRows
        Preference p, support T with the bias added, and self-responsibility D of each point.
    total : ndarray of float64
        G: the damped T + D.
    gathered : ndarray
        G in the precision of the similarities, in which sweeps read it.
    exemplar : ndarray of bool
        Whether T + D > 0, which makes the point an exemplar.
    changed_at : ndarray of int32
        The sweep in which ``exemplar`` last changed; 0: never.
    bias : ndarray of float32 or float64
        The amount that the messages add to each point's preference (see `BiasSchedule`).
    """

    own: OwnRows
    total: Float64Array
    gathered: FloatArray
    exemplar: BoolArray
    changed_at: Int32Array
    bias: FloatArray

    @classmethod
    def at_rest(
        cls, preference: Float64Array, gathered_dtype: np.dtype[Any], bias_dtype: Any = np.float32
    ) -> PointState:
        """Return the state before the first sweep: all availabilities are zero, and G is +inf."""
        n = len(preference)
        return cls(
            own=OwnRows(preference, np.zeros(n), np.zeros(n)),
            total=np.zeros(n),
            # min(0, inf - max(0, r)) = 0: all availabilities are zero before the first sweep.
            gathered=np.full(n, np.inf, gathered_dtype),
            exemplar=np.zeros(n, np.bool_),
            changed_at=np.zeros(n, np.int32),
            bias=np.zeros(n, bias_dtype),
        )

    def under(self, preference: Float64Array, bias_dtype: Any) -> Self:
        """Return the state to continue from under other preferences; its arrays are this state's.

        The bias and the sweeps of the last changes are reset: both belong to the run that ended.
        """
        own = self.own._replace(preference=preference)
        own.support[:] -= self.bias
        self.changed_at.fill(0)
        return replace(self, own=own, bias=np.zeros(len(preference), bias_dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Propagation:
    """The result of the sweeps: exemplars, convergence, and a report of each sweep.

    Attributes
    ----------
    exemplar : ndarray of bool, shape (n_points,)
        The answer of the incumbent.
    converged : bool
        Whether the stop rule was met.
    history : tuple of SweepReport
    """

    exemplar: BoolArray
    converged: bool
    history: tuple[SweepReport, ...]


def propagate(
    graph: BlockedGraph,
    scheme: Scheme,
    points: PointState,
    gap: FloatArray,
    stop: StopRule,
    incumbent: Incumbent,
    callback: Callable[[SweepReport], object],
    checkpoints: Checkpoints | NoCheckpoints,
) -> Propagation:
    """Pass messages until the stop rule is met.

    Parameters
    ----------
    graph : BlockedGraph
        The graph, cut for the executor that reads it.
    scheme : Scheme
        How messages are stored and damped.
    points : PointState
        The state to start from, under preferences whose ties are broken; updated in place.
    gap : ndarray of the bias's dtype, shape (n_points,)
        The scale of each point's bias, above 0.
    stop : StopRule
    incumbent : Incumbent
        Chooses among the exemplar sets seen on the way.
    callback : callable
        Called with the report of each sweep; an exception that it raises ends the run.
    checkpoints : Checkpoints or NoCheckpoints
        Writes the state between sweeps, and returns that of an earlier run.

    Returns
    -------
    Propagation
    """
    rows = scheme.rows(points.own)
    history = _restored(checkpoints.latest(), points, rows, incumbent)
    # A checkpoint after the last sweep: the run had ended, or was interrupted just before its end.
    finished = (
        bool(history) and stop.settled(history[-1], graph.n_points) and incumbent.consider(points.exemplar)
    )
    while not finished and len(history) < stop.max_iter:
        columns, _ = graph.run(scheme.sweep(history), scheme.vectors(points.gathered), rows)
        report = _take_in(columns[0], points, gap, scheme, len(history) + 1, stop)
        # Release the column sums: the next sweep allocates its own.
        del columns
        history.append(report)
        callback(report)
        # Settled exemplars count only if the incumbent accepts them; otherwise the sweeps continue.
        settled = stop.settled(report, graph.n_points)
        if settled or incumbent.due(report):
            finished = incumbent.consider(points.exemplar) and settled
        checkpoints.save_if_due(_saved(checkpoints, points, rows, incumbent, history))
    if not finished:
        # The exemplars after the last sweep are evaluated too, and may become the incumbent.
        incumbent.consider(points.exemplar)
    return Propagation(incumbent.answer(points.exemplar), finished, tuple(history))


def _state(points: PointState, rows: Any) -> dict[str, NDArray[Any]]:
    """Return the vectors that a sweep changes, by their names in checkpoints.

    ``PointState.gathered`` is missing, since it is ``total`` in another precision. Names are part of the
    format: "tilt" is the bias.
    """
    return {
        "support": points.own.support,
        "self_responsibility": points.own.self_responsibility,
        "total": points.total,
        "exemplar": points.exemplar,
        "changed_at": points.changed_at,
        "tilt": points.bias,
        **rows.state(),
    }


def _saved(
    checkpoints: Checkpoints | NoCheckpoints,
    points: PointState,
    rows: tuple[Any, ...],
    incumbent: Incumbent,
    history: list[SweepReport],
) -> Saved:
    return Saved(checkpoints.identity, tuple(history), _state(points, rows) | incumbent.state())


def _restored(
    saved: Saved | None, points: PointState, rows: tuple[Any, ...], incumbent: Incumbent
) -> list[SweepReport]:
    """Copy a saved state into the arrays of this run; return the saved history."""
    if saved is None:
        return []
    for name, values in _state(points, rows).items():
        np.copyto(values, saved.arrays[name])
    points.gathered[:] = points.total
    incumbent.restore(saved.arrays)
    return list(saved.history)


def _take_in(
    support: Float64Array,
    points: PointState,
    gap: FloatArray,
    scheme: Scheme,
    number: int,
    stop: StopRule,
) -> SweepReport:
    """Damp the new column totals, update the exemplars and the bias, and return the sweep's report."""
    counts = _update(
        support,
        points.own.self_responsibility,
        scheme.support_damping,
        scheme.total_damping,
        points.own.support,
        points.total,
        points.gathered,
        points.exemplar,
        points.changed_at,
        points.bias,
        gap,
        scheme.bias_limit(number),
        number,
        stop.earliest_recent(number),
    )
    return SweepReport(number, *counts)


@kernel
def _update(
    support: Any,
    self_responsibility: Any,
    support_damping: float,
    total_damping: float,
    kept_support: Any,
    total: Any,
    gathered: Any,
    exemplar: Any,
    changed_at: Any,
    bias: Any,
    gap: Any,
    bias_limit: float,
    number: int,
    earliest_recent: int,
) -> tuple[int, int, int]:
    n_exemplars = n_changed = n_unsettled = 0
    for k in range(len(support)):
        b = np.float64(bias[k])
        # The kept support includes the bias of the sweep before, which is taken out; D comes without bias.
        t = support_damping * (kept_support[k] - b) + (1.0 - support_damping) * support[k]
        d = self_responsibility[k] + b
        # Undamped support enters G, which has its own damping; T is damped for the decision alone.
        g = total_damping * total[k] + (1.0 - total_damping) * (support[k] + d)
        total[k], gathered[k] = g, g
        if bias_limit > 0.0:
            furthest = bias_limit * gap[k]
            bias[k] = _BIAS_DAMPING * b + (1.0 - _BIAS_DAMPING) * min(max(t + d, -furthest), furthest)
        # Rows read T with the bias in it, so no kernel and no executor needs to know of biases.
        kept_support[k] = t + np.float64(bias[k])
        is_exemplar = t + d > 0.0
        if is_exemplar != exemplar[k]:
            exemplar[k], changed_at[k] = is_exemplar, number
            n_changed += 1
        n_exemplars += is_exemplar
        # max: 0 stands for a status that has never changed.
        n_unsettled += changed_at[k] >= max(1, earliest_recent)
    return n_exemplars, n_changed, n_unsettled
