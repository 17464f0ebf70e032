"""Messages passed at one preference after the other, each time from where they were.

Preferences are told by their *price*: what being an exemplar costs against the best that any point can have,
the largest similarity minus the preference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sparse_ap.clustering.run import Run
from sparse_ap.kernels.block import BoolArray
from sparse_ap.propagation.assignment import assign
from sparse_ap.propagation.loop import PointState, Propagation
from sparse_ap.propagation.problem import Problem, best_of_rows
from sparse_ap.propagation.progress import told_of_readings
from sparse_ap.propagation.readout import clustering_of
from sparse_ap.propagation.repair import repair
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.exact_k import landed, lowest_preference
from sparse_ap.search.refinement import Effort

__all__ = ["Found", "Guide", "dearest_price", "exactly", "fewest", "first_price", "pared", "priced"]

# Sweeps of a short run.
_SHORT = 30
# Prices, against the first one, at which few exemplars are found; at which of them the fewest depends.
_DEAR = (256.0, 1024.0)


class Found(NamedTuple):
    """A set of exemplars, and the run that led to it."""

    problem: Problem
    propagation: Propagation
    n_promoted: int
    exemplar: BoolArray

    @property
    def n_clusters(self) -> int:
        """How many they are."""
        return int(np.count_nonzero(self.exemplar))

    @property
    def price(self) -> float:
        """What an exemplar costs in this problem, against the largest similarity."""
        return _price_of(self.problem)

    @property
    def n_sweeps(self) -> int:
        """Sweeps that led here, nearly."""
        return len(self.propagation.history) + _SHORT

    @property
    def effort(self) -> Effort:
        """What to spend on a search from here."""
        return Effort.after(self.n_sweeps, self.problem.survey.n_edges)

    def clustering(self) -> Clustering:
        """Return the clustering in the user's numbers."""
        assignment = assign(self.problem, self.exemplar)
        return clustering_of(self.problem, self.propagation, assignment, self.n_promoted)


class Guide:
    """Passes messages on one problem at one price after the other, each time from where they were.

    Parameters
    ----------
    run : Run
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._state: PointState | None = None
        self._price = math.inf

    def quick(self, problem: Problem) -> Found:
        """Return what a few sweeps lead to, and a search after them."""
        found = self.short(problem)
        return searched(self._run, found, Effort.brief(found.n_sweeps, problem.survey.n_edges))

    def short(self, problem: Problem) -> Found:
        """Return what a few sweeps lead to."""
        settings = self._run.settings
        stop = replace(settings.stop, max_iter=min(_SHORT, settings.stop.max_iter))
        return self._found(replace(self._run, settings=replace(settings, stop=stop)), problem)

    def whole(self, problem: Problem) -> Found:
        """Return what settled messages lead to, and a search after them."""
        found = self._found(self._run, problem)
        return searched(self._run, found, found.effort)

    def _found(self, run: Run, problem: Problem) -> Found:
        price = _price_of(problem)
        row_best = best_of_rows(problem.graph)
        # Messages from where exemplars were much cheaper hardly let go of the many that there were.
        start = self._state if price < 2.0 * self._price else None
        self._state = None
        propagation, self._state = run.propagated(problem, row_best, start)
        self._price = price
        assignment, n_promoted = repair(problem, propagation.exemplar)
        return Found(problem, propagation, n_promoted, assignment.exemplar)


def searched(run: Run, found: Found, effort: Effort) -> Found:
    """Search for better exemplars at the same price."""
    assignment = assign(found.problem, found.exemplar)
    return found._replace(exemplar=run.searched(found.problem, assignment, effort).exemplar)


def pared(run: Run, found: Found) -> Found:
    """Return fewer exemplars, if a search finds fewer when nothing but their number counts."""
    dearest = priced(found.problem, dearest_price(found.problem))
    few = searched(run, found._replace(problem=dearest), found.effort)
    return found._replace(exemplar=few.exemplar)


def fewest(run: Run, problem: Problem) -> Found:
    """Return as few exemplars as are found."""
    prices = (times * first_price(problem) for times in _DEAR)
    dear = (Guide(run).whole(priced(problem, price)) for price in prices)
    return min((pared(run, exactly(run, found, 1)) for found in dear), key=lambda found: found.n_clusters)


def exactly(run: Run, found: Found, n_clusters: int, others: Sequence[Found] = ()) -> Found:
    """Open or close what is missing or too much; more are left where none can be spared.

    Parameters
    ----------
    run : Run
    found : Found
    n_clusters : int
        Below what is possible: as few as are found.
    others : sequence of Found
        Where to begin instead.
    """
    start = [f.exemplar for f in others] or [found.exemplar]
    at_most = found.effort.n_readings
    with told_of_readings("moves", at_most, run.verbose) as told:
        return found._replace(exemplar=landed(found.problem, start, n_clusters, at_most, told))


def first_price(problem: Problem) -> float:
    """Return a price to begin with: that of the problem's preference, if it is one."""
    price = _price_of(problem)
    return price if price > 0.0 else problem.survey.span


def dearest_price(problem: Problem) -> float:
    """Return a price above which nothing changes."""
    return problem.survey.largest_or_zero - lowest_preference(problem)


def priced(problem: Problem, price: float) -> Problem:
    """Return the problem with the preference of a price, for all points."""
    return problem.at(problem.survey.largest_or_zero - price)


def _price_of(problem: Problem) -> float:
    return problem.survey.largest_or_zero - float(next(iter(problem.preference), 0.0))
