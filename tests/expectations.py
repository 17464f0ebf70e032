"""What must come of an input, worked out from its entries alone."""

from __future__ import annotations

import math
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from options import Options
from sklearn.exceptions import ConvergenceWarning
from strategies import Entries, Given

from sparse_ap import (
    Clustering,
    InvalidInputError,
    Outcome,
    PositiveSimilarityWarning,
    affinity_propagation,
)

SECONDS = 60
SUMMABLE = {"float32": 1e30, "float64": 1e100}
DOCUMENTED = (ConvergenceWarning, PositiveSimilarityWarning)


@contextmanager
def no_hang() -> Iterator[None]:
    """End an example that takes too long, where the system has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError(f"no answer within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(call: Callable[[], Any], *documented: type[Warning]) -> tuple[Any, list[type[Warning]]]:
    """Return the result, or the error if it is a documented one, and the warnings, all documented."""
    with warnings.catch_warnings(record=True) as caught, no_hang():
        warnings.simplefilter("always")
        try:
            result = call()
        except InvalidInputError as error:
            result = error
    assert not isinstance(result, InvalidInputError) or len(str(result)) > 20
    for w in caught:
        all_alike = str(w.message).startswith(
            ("All samples have mutually equal", "Different similarities become equal in float32")
        )
        assert issubclass(w.category, documented) or all_alike, f"{w.category}: {w.message}"
    return result, [w.category for w in caught]


def bytes_of(given: Any) -> list[bytes]:
    return [np.asarray(array).tobytes() for array in given.arrays()]


# What is expected, from the entries alone.


class Oracle:
    """The edges as the documentation has them, and whether there is a clustering of them."""

    def __init__(self, e: Entries, missing_nan: bool) -> None:
        dtype = np.float32 if np.can_cast(e.values.dtype, np.float32) else np.float64
        with np.errstate(over="ignore"):
            values = e.values.astype(dtype)
        self.dtype, self.n, self.values = np.dtype(dtype), e.n, values
        off = e.rows != e.columns
        lost = np.isinf(values) & np.isfinite(e.values)
        self.broken = bool(
            (np.isnan(values[off]).any() and not missing_nan) or (values[off] == np.inf).any() or lost.any()
        )
        self.edge: dict[tuple[int, int], float] = {}
        for i, k, s in zip(e.rows[off].tolist(), e.columns[off].tolist(), values[off].tolist(), strict=True):
            if s > -np.inf:
                self.edge[i, k] = max(s, self.edge.get((i, k), -np.inf))
        self.stored = np.array(list(self.edge.values()))
        n_diagonal = np.count_nonzero(~off)
        self.like_distances = 2 * n_diagonal > e.n and not (values < 0).any()

    def preference(self, given: dict[str, Any], dense: bool) -> Any:
        """Every point's preference; None where it overflows."""
        preference, quantile = given["preference"], given.get("preference_quantile")
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if preference is None and quantile is None and dense and len(self.values):
                median = float(np.median(self.values))
                preference = median if math.isfinite(median) else None
            if preference is None:
                q = 0.5 if quantile is None else float(quantile)
                preference = np.quantile(self.stored, q) if len(self.stored) else 0.0
            return np.broadcast_to(np.asarray(preference, float), (self.n,))

    def summable(self, preference: Any) -> bool:
        every = np.abs(np.concatenate([self.stored, preference]))
        return bool((every <= SUMMABLE[self.dtype.name]).all())


def check_clustering(c: Clustering, oracle: Oracle, preference: Any) -> None:
    n = oracle.n
    assert c.labels.dtype == np.int64
    assert c.labels.shape == (n,)
    assert (np.diff(c.exemplars) > 0).all()
    assert len(c.exemplars) > 0 or n == 0
    assert ((c.labels >= 0) & (c.labels < max(1, len(c.exemplars)))).all()
    assert (c.labels[c.exemplars] == np.arange(len(c.exemplars))).all()
    chosen = [(i, int(k)) for i, k in enumerate(c.exemplars[c.labels]) if i != k]
    assert all(edge in oracle.edge for edge in chosen), "a point is represented along no edge"
    terms = [oracle.edge[edge] for edge in chosen] + preference[c.exemplars].tolist()
    assert math.isfinite(c.net_similarity)
    # What is denormal has few digits.
    near = 1e-9 * math.fsum(map(abs, terms)) + 1e-307
    assert abs(c.net_similarity - math.fsum(terms)) <= near
    assert abs(c.net_similarity - c.data_similarity - c.exemplar_preference) <= near


def check_warnings(c: Clustering, caught: list[type[Warning]], oracle: Oracle) -> None:
    assert (ConvergenceWarning in caught) == (c.outcome in (Outcome.MAX_ITER_REACHED, Outcome.NO_EXEMPLARS))
    assert (UserWarning in caught) == (c.outcome is Outcome.ALL_EQUAL)
    if PositiveSimilarityWarning in caught:
        assert oracle.stored.min() >= 0


def check_refusal(error: InvalidInputError, given: Given, chosen: Options, oracle: Oracle | None) -> None:
    """What was refused had to be, and the text names the cause."""
    text = str(error)
    words = [*chosen.wrong, *chosen.either, *given.words]
    if oracle is None:
        assert any(word in text for word in words), f"none of {words} in: {text}"
        return
    if any(name in text for name in words):
        return
    assert not chosen.wrong or oracle.broken or "reach" in text, f"not about {chosen.wrong}: {text}"
    if oracle.broken:
        assert "entries" in text or "reach" in text, text
    elif oracle.like_distances and "distances" in text:
        return
    else:
        assert "reach" in text, f"a good graph was refused: {text}"
        if not {"preference", "preference_quantile"} & {*chosen.wrong, *chosen.either}:
            good = oracle.summable(oracle.preference(chosen.given, given.dense))
            assert oracle.n == 0 or not good, text


def check(given: Given, chosen: Options, both: bool) -> None:
    """Cluster what is given; hold the answer against what is expected."""
    before = bytes_of(given)
    missing_nan = chosen.given.get("missing") == "nan" if "missing" not in chosen.wrong else False
    oracle = None if given.entries is None else Oracle(given.entries, missing_nan)

    def call(**more: Any) -> Any:
        return affinity_propagation(given.similarity, **{**chosen.fresh(), **more})

    result, caught = attempt(call, *DOCUMENTED)
    assert bytes_of(given) == before, "the input was written to"
    if isinstance(result, InvalidInputError):
        check_refusal(result, given, chosen, oracle)
        return
    assert oracle is not None, f"no graph, and not refused: {given!r}"
    assert not chosen.wrong, f"not refused: {chosen.given}"
    assert not oracle.broken, "not refused"
    if "preference" not in chosen.either and "preference_quantile" not in chosen.either:
        preference = oracle.preference(chosen.given, given.dense)
        assert oracle.summable(preference), "not refused"
        check_clustering(result, oracle, preference)
    check_warnings(result, caught, oracle)
    if both:
        check_same(result, [attempt(lambda n=n: call(n_jobs=n), *DOCUMENTED)[0] for n in (1, 2)])


def check_same(result: Clustering, others: list[Clustering]) -> None:
    for other in others:
        assert other.labels.tobytes() == result.labels.tobytes()
        assert other.exemplars.tobytes() == result.exemplars.tobytes()
        assert other.net_similarity == result.net_similarity
        assert other.history == result.history
