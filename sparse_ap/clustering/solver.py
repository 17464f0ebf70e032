"""`Solver`: one run on a problem, from the messages to the refined exemplars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.clustering.input import loaded, local_problem, open_cluster, open_executor, open_input
from sparse_ap.clustering.preparation import prepared
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.execution.plans import Resources, choose_plan, cluster_plan
from sparse_ap.kernels.block import Float64Array
from sparse_ap.kernels.classic import Messages
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.assignment import Assignment, Refinement, move_to_medoids
from sparse_ap.propagation.checkpoint_config import CheckpointConfig, checkpoint_config, identity_of
from sparse_ap.propagation.history import SweepReport
from sparse_ap.propagation.incumbent import BestIncumbent, Incumbent, LastIncumbent
from sparse_ap.propagation.loop import PointState, Propagation, propagate
from sparse_ap.propagation.preferences import checked_preference, message_preference, weights_of
from sparse_ap.propagation.problem import Problem, best_of_rows, support_grid
from sparse_ap.propagation.progress import reading_progress, sweep_progress
from sparse_ap.propagation.readout import better_than_rounding, read_out
from sparse_ap.propagation.repair import repair
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.schemes import NO_BIAS, BiasSchedule, Classic, Compact, Scheme, damping_for_degree
from sparse_ap.propagation.settings import EVALUATE_EVERY, TOTAL_DAMPING, Options, Settings
from sparse_ap.propagation.stopping import first_grown
from sparse_ap.search.refinement import Effort, search

__all__ = ["Solver", "checked_again", "open_links", "open_problem"]


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """The settings of a run, and the steps that a run consists of.

    Attributes
    ----------
    settings : Settings
    checkpoint_config : CheckpointConfig
    renumbered : bool
        Whether points are in another order than the user's, and the similarities of each row fall.
    callback : callable or None
        The user's function, called after each sweep with a `SweepReport`.
    verbose : bool
        Whether to show progress.
    """

    settings: Settings
    checkpoint_config: CheckpointConfig
    renumbered: bool
    callback: Callable[[SweepReport], object] | None
    verbose: bool

    def clustering(self, problem: Problem, row_best: Float64Array) -> tuple[Problem, Clustering]:
        """Pass messages from rest, and return the clustering that they lead to.

        Parameters
        ----------
        problem : Problem
        row_best : ndarray of float64, shape (n_points,)
            Each point's largest similarity; overwritten.

        Returns
        -------
        problem : Problem
            The same problem; its graph is copied into this process if a local search needs that.
        clustering : Clustering
        """
        # The state of the messages is released here: the refinement needs the exemplars alone.
        propagation = self.propagated(problem, row_best)[0]
        if self.settings.refine == "search":
            problem = local_problem(problem)
        return problem, self.read_out(problem, propagation)

    def propagated(
        self, problem: Problem, row_best: Float64Array, start: PointState | None = None
    ) -> tuple[Propagation, PointState]:
        """Break ties, fit the grid of exact sums, and pass messages.

        Parameters
        ----------
        problem : Problem
        row_best : ndarray of float64, shape (n_points,)
            Each point's largest similarity; overwritten.
        start : PointState, optional
            State to continue from, as an earlier call under other preferences returned it; overwritten.

        Returns
        -------
        propagation : Propagation
        points : PointState
            The state after the last sweep, for a later continuation.
        """
        settings = self.settings
        preference, gap = message_preference(problem, row_best, settings.seed, settings.tie_strength)
        bias_schedule = NO_BIAS if settings.scheme == "classic" else BiasSchedule()
        grid = support_grid(problem, preference, bias_schedule.most * gap)
        scheme, incumbent = _scheme(problem, settings, grid, bias_schedule, self.renumbered)
        lost = problem.n_unrepresented
        stop = replace(settings.stop, first_counted=first_grown(scheme.damping), n_left_out=lost)
        if start is None:
            points = PointState.at_rest(preference, scheme.total_dtype, gap.dtype)
        else:
            points = start.under(preference, gap.dtype)
        identity = identity_of(problem, preference, settings.damping, settings.stop, self.renumbered)
        checkpoints = self.checkpoint_config.checkpoints(identity)
        with (
            sweep_progress(settings.stop.max_iter, self.callback, self.verbose) as told,
            checkpoints.signals_deferred(),
        ):
            told = _without(lost, told)
            done = propagate(problem.graph, scheme, points, gap, stop, incumbent, told, checkpoints)
        if lost:
            done = replace(done, history=tuple(report.without(lost) for report in done.history))
        return done, points

    def brief(self, problem: Problem, n_sweeps: int) -> Solver:
        """Return a solver that makes so many sweeps at most after the messages have grown."""
        grown = first_grown(_damping(problem, self.settings))
        return self.stopping(max_iter=min(self.settings.stop.max_iter, grown + n_sweeps))

    def stopping(self, **changes: Any) -> Solver:
        """Return a solver whose rule for when to stop has other fields."""
        return replace(self, settings=replace(self.settings, stop=replace(self.settings.stop, **changes)))

    def read_out(self, problem: Problem, propagation: Propagation) -> Clustering:
        """Refine the exemplars, and return the clustering in the user's numbers."""
        size = problem.graph.n_points, problem.edges.n_edges
        return read_out(problem, propagation, self.refinement(Effort.after(len(propagation.history), *size)))

    def refinement(self, effort: Effort) -> Refinement | None:
        """Return what improves exemplars after the sweeps, as the settings say."""
        searched = self._beyond_medoids if self.settings.scheme == "classic" else self.searched
        refinements: dict[str | None, Refinement] = {
            "search": lambda problem, assignment: searched(problem, assignment, effort),
            "medoid": move_to_medoids,
        }
        return refinements.get(self.settings.refine)

    def searched(self, problem: Problem, assignment: Assignment, effort: Effort) -> Assignment:
        """Return a better assignment, found by local search."""
        with reading_progress("search", effort.n_readings, self.verbose) as told:
            return search(problem, assignment, effort, self.settings.seed, told)

    def _beyond_medoids(self, problem: Problem, assignment: Assignment, effort: Effort) -> Assignment:
        """Return scikit-learn's assignment, of medoids; or a better one, if there is a search that finds it.

        One search starts from these medoids, the other from the exemplars of the compact scheme.
        """
        best = move_to_medoids(problem, assignment)
        if better_than_rounding(problem, assignment, best):
            best = assignment
        compact = replace(self, settings=self.settings.of_compact(), callback=None)
        exemplar = compact.propagated(problem, best_of_rows(problem.graph))[0].exemplar
        for start in (best, repair(problem, exemplar)[0]):
            found = self.searched(problem, start, effort)
            if better_than_rounding(problem, found, best):
                best = found
        return best


def _without(n_unrepresented: int, told: Callable[[SweepReport], object]) -> Callable[[SweepReport], object]:
    """Return the function with the points that nobody represents left out of its reports."""
    return (lambda report: told(report.without(n_unrepresented))) if n_unrepresented else told


def _scheme(
    problem: Problem, settings: Settings, grid: Grid, bias_schedule: BiasSchedule, falling: bool
) -> tuple[Scheme, Incumbent]:
    graph, damping = problem.graph, _damping(problem, settings)
    if settings.scheme == "classic":
        return Classic(damping, Messages.at_rest(problem.edges.n_edges), grid), LastIncumbent()
    return (
        Compact(damping, TOTAL_DAMPING, TOTAL_DAMPING, graph.dtype, grid, bias_schedule, falling),
        BestIncumbent(problem, EVALUATE_EVERY, settings.stop.tol),
    )


def _damping(problem: Problem, settings: Settings) -> float:
    """Return the damping of the messages: the one given, or else by the mean degree."""
    if settings.damping is not None:
        return settings.damping
    return damping_for_degree(
        problem.edges.n_edges / max(1, problem.graph.n_points - problem.n_unrepresented)
    )


@contextmanager
def open_problem(
    similarity: Any, options: Options, resources: Resources, *, selects: bool = False, levels: bool = False
) -> Iterator[tuple[Solver, Problem, Float64Array]]:
    """Open a graph, check it, and choose a plan; yield what a run needs.

    Parameters
    ----------
    similarity
        As for `affinity_propagation`.
    options : Options
    resources : Resources
    selects : bool
        Whether memory is needed for a copy of the graph with fewer edges, whatever the options are.
    levels : bool
        Whether memory is needed for the levels of a hierarchy.

    Yields
    ------
    solver : Solver
    problem : Problem
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity.
    """
    # Options are refused before the graph is opened.
    checkpoints = checkpoint_config(options.checkpoint, options.checkpoint_every, options.resume)
    cluster = open_cluster(resources.client, similarity)
    given = open_input(similarity, cluster)
    settings = options.settings(given.dense is not None)
    choose = choose_plan if cluster is None else cluster_plan
    # The saved state is in the order of the run that wrote it, which overrides the option.
    reorder = checkpoints.reorder(settings.reorder)
    plan = choose(
        given, resources, reorder=reorder, scheme=settings.scheme, refine=settings.refine,
        selected=selects or options.drops_edges or options.collapses,
        weighted=options.weights is not None or options.collapses,
        limited=options.limits_sizes, levels=levels,
    )  # fmt: skip
    with open_executor(plan.n_threads, cluster) as executor:
        solver = Solver(settings, checkpoints, plan.reorder, options.callback, resources.verbose)
        # Without names: what the caller releases is not held here.
        yield (solver, *prepared(given, loaded(given, plan, executor), options, plan.reorder))


@contextmanager
def open_links(links: Any, resources: Resources) -> Iterator[BlockedGraph]:
    """Open a graph of link weights: as `open_problem`, without the check of every entry."""
    cluster = open_cluster(resources.client, links)
    given = open_input(links, cluster)
    choose = choose_plan if cluster is None else cluster_plan
    plan = choose(given, resources)
    with open_executor(plan.n_threads, cluster) as executor:
        yield loaded(given, plan, executor)


def checked_again(
    preference: ArrayLike | None, weights: ArrayLike | None, n_points: int
) -> tuple[Float64Array | None, Float64Array]:
    """Check the preferences and the weights of a run that are given again; return those of all points."""
    given = weights_of(weights, n_points)
    weight = np.ones(n_points) if given is None else given
    return None if preference is None else checked_preference(preference, n_points), weight
