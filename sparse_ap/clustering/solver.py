"""One run on a problem: messages passed until they settle, then the exemplars read out and refined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.preparation import opened, prepared
from sparse_ap.kernels.block import Float64Array
from sparse_ap.kernels.classic import Messages
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.assignment import Assignment, Refinement, move_to_medoids
from sparse_ap.propagation.checkpoint_config import CheckpointConfig, checked_checkpoint_config
from sparse_ap.propagation.incumbent import BestIncumbent, LastIncumbent
from sparse_ap.propagation.loop import Incumbent, PointState, Propagation, propagate
from sparse_ap.propagation.preferences import message_preference
from sparse_ap.propagation.problem import Problem, support_grid
from sparse_ap.propagation.progress import reading_progress, sweep_progress
from sparse_ap.propagation.readout import read_out
from sparse_ap.propagation.result import Clustering, SweepReport
from sparse_ap.propagation.schemes import NO_BIAS, BiasSchedule, Classic, Compact, Scheme, damping_for_degree
from sparse_ap.propagation.settings import EVALUATE_EVERY, TOTAL_DAMPING, Settings, checked_settings
from sparse_ap.search.refinement import Effort, search

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Solver", "open_problem"]


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """How a run goes, whatever the problem.

    Attributes
    ----------
    settings : Settings
    checkpoint_config : CheckpointConfig
    renumbered : bool
        Whether points are in another order than the user's.
    callback : callable or None
        The user's, called after each sweep.
    verbose : bool
    """

    settings: Settings
    checkpoint_config: CheckpointConfig
    renumbered: bool
    callback: Callable[[SweepReport], object] | None
    verbose: bool

    def clustering(self, problem: Problem, row_best: Float64Array) -> Clustering:
        """Pass messages from rest, and read out the clustering they lead to.

        Parameters
        ----------
        problem : Problem
        row_best : ndarray of float64, shape (n_points,)
            Each point's largest similarity; overwritten.
        """
        # Everything but the exemplars is let go before the refinement.
        return self.read_out(problem, self.propagated(problem, row_best)[0])

    def propagated(
        self, problem: Problem, row_best: Float64Array, start: PointState | None = None
    ) -> tuple[Propagation, PointState]:
        """Break ties, fit the grid, pass messages.

        Parameters
        ----------
        problem : Problem
        row_best : ndarray of float64, shape (n_points,)
            Each point's largest similarity; overwritten.
        start : PointState, optional
            Where to go on from: what a run under other preferences returned. It is used up.
        """
        settings = self.settings
        preference, gap = message_preference(problem, row_best, settings.seed, settings.tie_strength)
        bias_schedule = NO_BIAS if settings.scheme == "classic" else BiasSchedule()
        grid = support_grid(problem, preference, bias_schedule.most * gap)
        scheme, incumbent = _scheme(problem, settings, grid, bias_schedule)
        if start is None:
            points = PointState.at_rest(preference, scheme.total_dtype)
        else:
            points = start.under(preference)
        checkpoints = self.checkpoint_config.checkpoints(problem, preference, settings, self.renumbered)
        with (
            sweep_progress(settings.stop.max_iter, self.callback, self.verbose) as told,
            checkpoints.signals_deferred(),
        ):
            done = propagate(problem.graph, scheme, points, gap, settings.stop, incumbent, told, checkpoints)
        return done, points

    def read_out(self, problem: Problem, propagation: Propagation) -> Clustering:
        """Refine the exemplars, and give the clustering in the user's numbers."""
        n_sweeps = len(propagation.history)
        refinements: dict[str | None, Refinement] = {
            "search": lambda problem, assignment: self.searched(
                problem, assignment, Effort.after(n_sweeps, problem.edges.n_edges)
            ),
            "medoid": move_to_medoids,
        }
        return read_out(problem, propagation, refinements.get(self.settings.refine))

    def searched(self, problem: Problem, assignment: Assignment, effort: Effort) -> Assignment:
        """Search for a better assignment."""
        problem = local_problem(problem)
        with reading_progress("search", effort.n_readings, self.verbose) as told:
            return search(problem, assignment, effort, self.settings.seed, told)


def _scheme(
    problem: Problem, settings: Settings, grid: Grid, bias_schedule: BiasSchedule
) -> tuple[Scheme, Incumbent]:
    graph, damping = problem.graph, settings.damping
    if settings.scheme == "classic":
        assert damping is not None
        return Classic(damping, Messages.at_rest(problem.edges.n_edges), grid), LastIncumbent()
    mean_degree = problem.edges.n_edges / max(1, graph.n_points)
    damping = damping_for_degree(mean_degree) if damping is None else damping
    return (
        Compact(damping, TOTAL_DAMPING, TOTAL_DAMPING, graph.dtype, grid, bias_schedule),
        BestIncumbent(problem, EVALUATE_EVERY, settings.stop.tol),
    )


@contextmanager
def open_problem(
    similarity: Any,
    missing: str | None,
    random_state: Any,
    n_jobs: int | None,
    memory_limit: int | str | None,
    client: Client | None,
    verbose: bool,
) -> Iterator[tuple[Solver, Problem]]:
    """Yield how runs go, and the problem at its default preference; parameters as `affinity_propagation`."""
    settings = checked_settings(
        similarity,
        scheme="compact",
        damping=None,
        max_iter=200,
        convergence_iter=None,
        tol=None,
        refine="search",
        reorder="auto",
        missing=missing,
        check_finite=True,
        certify=False,
        random_state=random_state,
    )
    checkpoint_config = checked_checkpoint_config(None, 1, False, settings)
    with opened(similarity, settings, checkpoint_config, n_jobs, memory_limit, client) as (
        input_graph,
        plan,
        executor,
    ):
        problem, _ = prepared(input_graph, plan, None, None, settings, executor)
        yield Solver(settings, checkpoint_config, plan.reorder, None, verbose), local_problem(problem)
