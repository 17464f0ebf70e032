"""The options of a run, as given and as used: defaults and checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.arguments import is_finite, is_positive_integer, require, seed_of
from sparse_ap.errors import InvalidInputError
from sparse_ap.propagation.history import SweepReport
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.roles import has_roles
from sparse_ap.propagation.stopping import StopRule

__all__ = ["DEFAULTS", "EVALUATE_EVERY", "TOTAL_DAMPING", "Defaults", "Options", "Settings"]


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults of a scheme; docs/design/0003-damping.md and 0013-settling.md have the measurements."""

    damping: float | None
    convergence_iter: int
    tol: float
    tie_strength: float
    refine: str


DEFAULTS = {
    "compact": Defaults(damping=None, convergence_iter=31, tol=1e-4, tie_strength=1e-3, refine="search"),
    "classic": Defaults(damping=0.5, convergence_iter=15, tol=0.0, tie_strength=1e-12, refine="search"),
}
# Damping of the column totals in the compact scheme: 0003-damping.md.
TOTAL_DAMPING = 0.5
# Sweeps between evaluations of the exemplars in the compact scheme, each a tenth of the cost:
# 0003-damping.md.
EVALUATE_EVERY = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """The options of a run as a user gives them: names and defaults are those of `affinity_propagation`.

    ``covers`` says whether `cover` is called, which cannot do with fewer edges than there are pairs.

    Raises
    ------
    InvalidInputError
        An option has a value that is not allowed; the message names the option, the value, and the choices.
    """

    preference: ArrayLike | None = None
    preference_quantile: float | None = None
    candidates: ArrayLike | None = None
    unrepresented: str = "error"
    min_similarity: float | None = None
    weights: ArrayLike | None = None
    collapse_duplicates: bool | float | None = None
    max_cluster_size: int | None = None
    min_cluster_size: int | None = None
    start: Clustering | None = None
    damping: float | None = None
    max_iter: int = 200
    convergence_iter: int | None = None
    tol: float | None = None
    scheme: str = "auto"
    refine: str | None = "auto"
    reorder: bool | str = "auto"
    missing: str | None = None
    check_finite: bool = True
    certify: bool | str = False
    missing_at_most: ArrayLike | None = None
    random_state: Any = 0
    checkpoint: str | Path | None = None
    checkpoint_every: int = 25
    resume: bool = False
    callback: Callable[[SweepReport], object] | None = None
    covers: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range, before the graph is opened."""
        share = "0 or more and less than 1: a share of the points"
        self._require_word("scheme", "'auto', 'compact' or 'classic'", "auto", *DEFAULTS)
        # Less damping lets messages oscillate; scikit-learn has the same bound.
        self._require("damping", "0.5 or more and less than 1", lambda value: _within(value, 0.5))
        for name in ("max_iter", "convergence_iter", "checkpoint_every"):
            self._require(name, "at least 1, a whole number", is_positive_integer)
        self._require_word("unrepresented", "'error' or 'label'", "error", "label")
        self._require("min_similarity", "a finite number, or None", is_finite)
        self._require("collapse_duplicates", "True, or the similarity of equal points", _is_number_or_truth)
        for name in ("max_cluster_size", "min_cluster_size"):
            self._require(name, "at least 1, a whole number of points, or None", is_positive_integer)
        self._require_sizes()
        self._require("tol", share, lambda value: _within(value, 0.0))
        self._require_word("refine", "'auto', 'search', 'medoid' or None", "auto", "search", "medoid", None)
        self._require_word("reorder", "True, False or 'auto'", True, False, "auto")
        self._require_word("missing", "'nan' or None", "nan", None)
        self._require_word("check_finite", "True or False", True, False)
        self._require_word("certify", "True, False or 'complete'", True, False, "complete")
        self._require("start", "a Clustering, or None", lambda value: isinstance(value, Clustering))
        if self.start is not None and self.checkpoint is not None:
            raise InvalidInputError(
                "checkpoint was given with start; a run from a clustering has few sweeps, and none to go on "
                "from. Leave out one of them."
            )
        if self.collapses and self.complete:
            raise InvalidInputError(
                f"collapse_duplicates={self.collapse_duplicates} was given with certify='complete' "
                "(--certify-complete): no edge between equal points is "
                "missing then, but edges to other points may be. Give certify=True (--certify)."
            )
        if self.missing_at_most is not None and not self.complete:
            raise InvalidInputError(
                f"missing_at_most was given with certify={self.certify!r}. It is for certify='complete', the "
                "bound on clusterings of the complete graph; give that, or leave missing_at_most out."
            )

    def _require_sizes(self) -> None:
        """Refuse sizes that contradict each other, and what cannot keep them."""
        least, most = self.min_cluster_size, self.max_cluster_size
        if least is not None and most is not None and least > most:
            raise InvalidInputError(
                f"min_cluster_size={least} was given with max_cluster_size={most}. Give a smaller one of the "
                "first, or a larger one of the second."
            )
        if self.limits_sizes and self.collapses:
            raise InvalidInputError(
                f"collapse_duplicates={self.collapse_duplicates} was given with max_cluster_size or "
                "min_cluster_size: equal points go to one cluster, however many they are. Give one of "
                "the two."
            )

    @property
    def limits_sizes(self) -> bool:
        """Whether clusters may be too large or too small."""
        return self.max_cluster_size is not None or (self.min_cluster_size or 1) > 1

    @property
    def complete(self) -> bool:
        """Whether the complete graph is to be bounded."""
        return isinstance(self.certify, str) and self.certify == "complete"

    def _require(self, name: str, needed: str, right: Callable[[Any], bool]) -> None:
        """Refuse a value that is not right; None is right where it is the default."""
        value = getattr(self, name)
        require(name, value, right(value) or (value is None and _DEFAULT[name] is None), needed)

    def _require_word(self, name: str, needed: str, *allowed: object) -> None:
        value = getattr(self, name)
        require(name, value, _is_one_of(value, *allowed), needed)

    @property
    def collapses(self) -> bool:
        """Whether one of several equal points stands for all."""
        given = self.collapse_duplicates
        # 0 is a similarity, and is equal to False.
        return bool(given) if isinstance(given, bool | np.bool_) else given is not None

    @property
    def alike(self) -> float:
        """The similarity of equal points to each other."""
        given = self.collapse_duplicates
        return 0.0 if given is None or isinstance(given, bool | np.bool_) else float(given)

    @property
    def drops_edges(self) -> bool:
        """Whether the run is on a copy of the graph, without the edges that some options rule out."""
        return self.min_similarity is not None or has_roles(self.preference, self.candidates)

    def settings(self, dense: bool) -> Settings:
        """Fill in the defaults of the scheme; "auto" means "classic" for dense matrices, else "compact".

        Where points are always or never exemplars, or equal ones collapsed, it means "compact" for all.

        Raises
        ------
        InvalidInputError
            Checkpoints are asked for with the scheme "classic", or what only "compact" knows.
        """
        roles = has_roles(self.preference, self.candidates)
        special = roles or self.collapses
        scheme = ("classic" if dense and not special else "compact") if self.scheme == "auto" else self.scheme
        if scheme == "classic" and roles:
            what = "a preference of inf or -inf" if self.candidates is None else "candidates"
            raise InvalidInputError(
                f"scheme='classic' was given with {what}; points that are always or never exemplars are for "
                "scheme='compact'. Leave out the scheme."
            )
        if scheme == "classic" and self.collapses:
            raise InvalidInputError(
                f"scheme='classic' was given with collapse_duplicates={self.collapse_duplicates}, which is "
                "for scheme='compact'. Leave out the scheme."
            )
        if scheme == "classic" and self.checkpoint is not None:
            raise InvalidInputError(
                "checkpoint was given with scheme='classic', which keeps two numbers for each edge; it is "
                "for scheme='compact'."
            )
        defaults = DEFAULTS[scheme]
        damping = defaults.damping if self.damping is None else float(self.damping)
        tol = defaults.tol if self.tol is None else float(self.tol)
        n_stable = defaults.convergence_iter if self.convergence_iter is None else self.convergence_iter
        return Settings(
            scheme=scheme,
            damping=damping,
            tie_strength=defaults.tie_strength,
            stop=StopRule(_at_most_int32(self.max_iter), _at_most_int32(n_stable), tol),
            refine=defaults.refine if self.refine == "auto" else self.refine,
            reorder=self.reorder if isinstance(self.reorder, str) else bool(self.reorder),
            seed=seed_of(self.random_state),
        )


_DEFAULT = {field.name: field.default for field in fields(Options)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options that a run uses: checked, with defaults filled in.

    Attributes
    ----------
    scheme : {"compact", "classic"}
    damping : float or None
        Share of the old responsibility kept in each sweep; None: chosen by the mean degree.
    tie_strength : float
        Largest amount by which a preference is lowered to break ties, in units of the point's gap.
    stop : StopRule
    refine : {"search", "medoid"} or None
    reorder : bool or "auto"
    seed : int
        Seed of the tie breaking and of the search's perturbations.
    """

    scheme: str
    damping: float | None
    tie_strength: float
    stop: StopRule
    refine: str | None
    reorder: bool | str
    seed: int

    def of_compact(self) -> Settings:
        """Return the settings of a run with the compact scheme in its defaults, otherwise as this one."""
        compact = DEFAULTS["compact"]
        stop = StopRule(self.stop.max_iter, compact.convergence_iter, compact.tol)
        return replace(
            self, scheme="compact", damping=compact.damping, tie_strength=compact.tie_strength, stop=stop
        )


def _is_one_of(value: object, *allowed: object) -> bool:
    """Whether a value is one of the allowed words, truth values or None; other types, arrays say, are not."""
    return isinstance(value, str | bool | np.bool_ | None) and value in allowed


def _is_number_or_truth(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) or is_finite(value)


def _within(value: Any, least: float) -> bool:
    # Compared as it is: float() fails for integers beyond the range of float64.
    return isinstance(value, Real) and least <= value < 1  # type: ignore[operator]


def _at_most_int32(count: int) -> int:
    """Return a number of sweeps, cut off at the largest that fits into 32 bits."""
    return min(int(count), np.iinfo(np.int32).max)
