"""The options of a run: defaults, checks."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from sparse_ap.arguments import is_positive_integer, require, seed_of
from sparse_ap.propagation.stopping import StopRule

__all__ = ["DEFAULTS", "EVALUATE_EVERY", "TOTAL_DAMPING", "Defaults", "Settings", "checked_settings"]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a scheme uses where the user is silent; measured in docs/design/0003-damping.md and 0013."""

    damping: float | None
    convergence_iter: int
    tol: float
    tie_strength: float
    refine: str


DEFAULTS = {
    "compact": Defaults(damping=None, convergence_iter=31, tol=1e-4, tie_strength=1e-3, refine="search"),
    "classic": Defaults(damping=0.5, convergence_iter=15, tol=0.0, tie_strength=1e-12, refine="medoid"),
}
# Damping of compact's column totals.
TOTAL_DAMPING = 0.5
# Sweeps between looks at what compact's exemplars are worth.
EVALUATE_EVERY = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a run, checked, defaults filled in."""

    scheme: str
    damping: float | None
    tie_strength: float
    stop: StopRule
    refine: str | None
    reorder: bool | str
    missing: str | None
    check_finite: bool
    certify: bool
    seed: int


def checked_settings(
    similarity: Any,
    scheme: str,
    damping: float | None,
    max_iter: int,
    convergence_iter: int | None,
    tol: float | None,
    refine: str | None,
    reorder: bool | str,
    missing: str | None,
    check_finite: bool,
    certify: bool,
    random_state: Any,
) -> Settings:
    """Fill in the defaults and refuse what is out of range; parameters as `affinity_propagation`.

    Raises
    ------
    InvalidInputError
        An option is none of its possible values; the message names it, what was given and what may be.
    """
    require("scheme", scheme, _is_one_of(scheme, "auto", *DEFAULTS), "'auto', 'compact' or 'classic'")
    if scheme == "auto":
        scheme = "classic" if isinstance(similarity, np.ndarray | list | tuple) else "compact"
    damping = DEFAULTS[scheme].damping if damping is None else damping
    tol = DEFAULTS[scheme].tol if tol is None else tol
    if convergence_iter is None:
        convergence_iter = DEFAULTS[scheme].convergence_iter
    require("damping", damping, damping is None or _within(damping, 0.5), "0.5 or more and less than 1")
    require("max_iter", max_iter, is_positive_integer(max_iter), "at least 1, a whole number")
    require(
        "convergence_iter",
        convergence_iter,
        is_positive_integer(convergence_iter),
        "at least 1, a whole number",
    )
    require("tol", tol, _within(tol, 0.0), "0 or more and less than 1: a share of the points")
    require(
        "refine",
        refine,
        _is_one_of(refine, "auto", "search", "medoid", None),
        "'auto', 'search', 'medoid' or None",
    )
    require("reorder", reorder, _is_one_of(reorder, True, False, "auto"), "True, False or 'auto'")
    require("missing", missing, _is_one_of(missing, "nan", None), "'nan' or None")
    require("check_finite", check_finite, _is_one_of(check_finite, True, False), "True or False")
    require("certify", certify, _is_one_of(certify, True, False), "True or False")
    return Settings(
        scheme,
        None if damping is None else float(damping),
        DEFAULTS[scheme].tie_strength,
        StopRule(_at_most_int32(max_iter), _at_most_int32(convergence_iter), float(tol)),
        DEFAULTS[scheme].refine if refine == "auto" else refine,
        reorder if isinstance(reorder, str) else bool(reorder),
        missing,
        bool(check_finite),
        bool(certify),
        seed_of(random_state),
    )


def _is_one_of(value: object, *allowed: object) -> bool:
    """Whether a word, None or a truth value is allowed; anything else, an array say, is not."""
    return isinstance(value, str | bool | np.bool_ | None) and value in allowed


def _within(value: Any, least: float) -> bool:
    # Not as a float, which a whole number may be too large for.
    return isinstance(value, Real) and least <= value < 1  # type: ignore[operator]


def _at_most_int32(count: int) -> int:
    """Return a number of sweeps that can be kept in 32 bits; nobody waits for more."""
    return min(int(count), np.iinfo(np.int32).max)
