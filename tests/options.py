"""Hypothesis strategies for the options of a run: right, wrong, and of any type."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

NAN, INF, HUGE = float("nan"), float("inf"), 10**400


@dataclass(frozen=True)
class Choices:
    """Values of one option: those that must be taken, must be refused, may be either."""

    right: list[Any]
    wrong: list[Any]
    either: list[Any]


CHOICES = {
    "damping": Choices(
        [None, 0.5, 0.9, 0.99, np.float32(0.75), np.float64(0.6), np.float16(0.5)],
        [0.4, 1, 1.0, -1, NAN, INF, "0.5", [0.5], 0.7j, True, b"x", {}, HUGE, np.array([0.5, 0.6])],
        [Fraction(3, 4), Decimal("0.75"), np.array(0.5), np.longdouble(0.75)],
    ),
    "max_iter": Choices(
        [1, 2, 15, 60, np.int64(20), np.uint8(7), np.int16(40)],
        [0, -1, 2.5, "3", None, NAN, [5], INF, np.int8(-3), np.array([1, 2])],
        [True, np.array(5), 5.0],
    ),
    "convergence_iter": Choices(
        [None, 1, 2, 15, np.int32(3), np.uint8(3), 10**6, 2**70],
        [0, -1, 1.5, "1", [1], np.int64(0), np.array([1, 2])],
        [True, 5.0],
    ),
    "tol": Choices(
        [None, 0, 0.0, 1e-3, 0.5, np.float32(0.1), np.int64(0), 5e-324],
        [1, -1e-9, NAN, INF, "0", [0], 1j, HUGE, np.array([0.1, 0.2])],
        [False, Fraction(1, 3), np.longdouble(0.1)],
    ),
    "scheme": Choices(
        ["auto", "compact", "classic", np.str_("compact")],
        ["fast", "", None, 1, b"compact", ["compact"], np.array(["compact", "classic"]), {}, NAN],
        [np.array("compact")],
    ),
    "refine": Choices(
        ["auto", "medoid", None, np.str_("medoid")],
        ["x", 0, True, np.array([1, 2]), np.array(["auto", "auto"]), []],
        [],
    ),
    "reorder": Choices(
        [True, False, "auto", np.bool_(True), np.bool_(False)],
        ["yes", 2, None, np.array([True, False]), np.array(["auto", "auto"]), []],
        [0, 1, 1.0],
    ),
    "missing": Choices(
        [None, "nan", "nan", np.str_("nan")], ["NaN", NAN, 0, True, [], np.array(["nan", "nan"])], []
    ),
    "check_finite": Choices([True, np.bool_(True)], ["no", 2, [], np.array([True, True])], [1, None]),
    "certify": Choices(
        [False, True, np.bool_(True)], ["no", "Complete", 2, [], np.array([True, True])], [1, None]
    ),
    "random_state": Choices(
        [0, -1, 2**40, 10**30, np.int64(5), np.uint8(3), np.random.RandomState(0), np.random.default_rng(0)],
        ["abc", 1.5, [1], NAN, {}, np.array([1, 2])],
        [True, np.array(3)],
    ),
    "n_jobs": Choices(
        [None, 1, 2, 3, -1, np.int64(2), np.int8(1)],
        [0, -2, 1.5, "2", [1], NAN, np.array([1, 2]), np.int64(-2)],
        [True, np.array(2)],
    ),
    "preference_quantile": Choices(
        [None, 0, 1, 0.5, np.float32(0.25), np.int64(1), np.float16(0.5)],
        [-0.1, 1.1, NAN, INF, "0.5", [0.5], 0.5j, np.array([0.1, 0.2]), {}, HUGE],
        [np.array(0.5), True, Fraction(1, 2), Decimal("0.5")],
    ),
}
NUMBERS = [
    -1,
    -0.5,
    0,
    -0.0,
    2.5,
    -1e30,
    1e30,
    1e-320,
    1e99,
    np.float32(-0.25),
    np.int8(-3),
    np.uint64(2**63),
]
NO_NUMBERS = ["median", NAN, INF, -INF, {}, object, 1j, HUGE, [[1.0], [2.0, 3.0]], np.array(["a"]), [None]]
PERHAPS = ["3", True, np.datetime64("2020-01-01"), np.array(1 + 0j)]


def _vector(kind: str, values: Any) -> Any:
    if kind == "list":
        return values.tolist()
    if kind == "tuple":
        return tuple(values.tolist())
    if kind == "series":
        return pd.Series(values)
    if kind == "strided":
        return np.repeat(values, 2)[::2]
    with np.errstate(all="ignore"):
        return values.astype(kind)


@st.composite
def preference_vectors(draw: Any, n: int) -> Any:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 3, 10**6]))
    kind = draw(st.sampled_from(["f8", "f4", ">f8", "f2", "i4", "g", "list", "tuple", "series", "strided"]))
    values = -rng.integers(0, levels, n) / 4
    if n and draw(st.booleans()):
        values[rng.integers(n)] = draw(st.sampled_from([1e30, -1e30, 1e4, -0.0]))
    values = values if kind not in ("i4", "f2") else np.clip(np.trunc(values), -6e4, 6e4)
    return _vector(kind, values)


@st.composite
def wrong_vectors(draw: Any, n: int) -> Any:
    vector = np.zeros(n)
    if n and draw(st.booleans()):
        # Infinite ones say that a point is always, or never, an exemplar.
        vector[draw(st.integers(0, n - 1))] = NAN
        return vector
    size = draw(st.integers(2, 60).filter(lambda size: size != n))
    return draw(st.sampled_from([np.zeros(size), [0.0] * size, np.zeros((n, 2)), np.zeros((1, 1, 1))]))


@dataclass(frozen=True)
class Options:
    """Options, and which of them must, or may, be refused."""

    given: dict[str, Any]
    wrong: tuple[str, ...]
    either: tuple[str, ...]

    def fresh(self) -> dict[str, Any]:
        """Generators as they were before anybody drew from them."""
        return {name: copy.deepcopy(value) for name, value in self.given.items()}


@st.composite
def _preferences(draw: Any, n: int, kind: str) -> Any:
    if kind == "wrong":
        return draw(st.one_of(st.sampled_from(NO_NUMBERS), wrong_vectors(n)))
    if kind == "either":
        return draw(st.sampled_from(PERHAPS))
    return draw(st.one_of(st.none(), st.sampled_from(NUMBERS), preference_vectors(n)))


@st.composite
def options(draw: Any, n: int, wild: bool) -> Options:
    """Options for a graph of n points; some wrong ones if ``wild``."""
    names = st.sampled_from(sorted(CHOICES))
    kinds = dict.fromkeys(draw(st.lists(names, max_size=5, unique=True)), "right")
    if wild:
        odd = st.sampled_from([*sorted(CHOICES), "preference"])
        for name in draw(st.lists(odd, min_size=1, max_size=2, unique=True)):
            kinds[name] = draw(st.sampled_from(["wrong", "wrong", "either"]))
    given = {}
    for name in sorted(kinds.keys() - {"preference"}):
        values = getattr(CHOICES[name], kinds[name])
        if values:
            given[name] = draw(st.sampled_from(values))
    given["preference"] = draw(_preferences(n, kinds.get("preference", "right")))
    if given.get("preference_quantile") is not None and kinds.get("preference", "right") == "right":
        given["preference"] = None
    given.setdefault("max_iter", 60)
    return Options(given, *(tuple(k for k in given if kinds.get(k) == kind) for kind in ("wrong", "either")))
