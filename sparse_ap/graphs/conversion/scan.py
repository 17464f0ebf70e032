"""`Scan` and `EdgeTest`: how edges are read from a file by SQL, and which of them are right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["EdgeTest", "Scan"]

# The number of points, the largest id plus 1, must fit into int32.
_LARGEST_ID = int(np.iinfo(np.int32).max) - 1


@dataclass(frozen=True, slots=True)
class Scan:
    """A query that reads edges from a file.

    Attributes
    ----------
    sql : str
        Query with the columns a and b (ids) and s (a double).
    run : callable
        Function that runs SQL in which the query is a part.
    digits : bool
        Whether the ids look like whole numbers.
    first_wrong : callable
        Function from the test of an edge to a description of the first edge that fails it, if any does.
    fractions : bool
        Whether the points would be numbers with fractions, as in a table that is no list of edges.
    weightless : bool
        Whether the format lets every edge have the similarity 1.
    """

    sql: str
    run: Callable[[str], object]
    digits: bool
    first_wrong: Callable[[EdgeTest], str | None]
    fractions: bool
    weightless: bool = False


@dataclass(frozen=True, slots=True)
class EdgeTest:
    """The conditions on an edge, as SQL and in Python; the two must agree.

    Attributes
    ----------
    integers : bool
        Whether ids are whole numbers from 0.
    n_points : int or None
        Number of points, if it is given.
    largest : float
        Largest absolute value of a finite similarity.
    distances : bool
        Whether the values are distances: then inf is allowed and -inf is not.
    perhaps_names : bool
        Whether whole numbers may turn out to be names. Those that are no number of a point, or are written
        with zeros before them, are -1 then.
    """

    integers: bool
    n_points: int | None
    largest: float
    distances: bool
    perhaps_names: bool = False

    def id_sql(self, name: str) -> str:
        """Return SQL for an id, with NULL for a wrong one."""
        if not self.integers:
            return f"nullif({name}::VARCHAR, '')"
        whole = f"regexp_full_match(trim({name}::VARCHAR), '[0-9]{{1,10}}')"
        last = _LARGEST_ID if self.n_points is None else self.n_points - 1
        number = f"TRY_CAST({name} AS BIGINT)"
        if self.perhaps_names:
            digits = f"regexp_full_match(trim({name}::VARCHAR), '[0-9]+')"
            plain = f"regexp_full_match(trim({name}::VARCHAR), '0|[1-9][0-9]{{0,9}}')"
            return (
                f"CASE WHEN {plain} AND {number} <= {last} THEN {number}::INTEGER WHEN {digits} THEN -1 END"
            )
        return f"CASE WHEN {whole} AND {number} <= {last} THEN {number}::INTEGER END"

    def similarity_sql(self) -> str:
        """Return SQL for the similarity, with NULL for a wrong one."""
        forbidden = "-inf" if self.distances else "inf"
        return (
            f"CASE WHEN isnan(s) OR s = '{forbidden}'::DOUBLE OR (isfinite(s) AND abs(s) > {self.largest!r}) "
            "THEN NULL ELSE s::DOUBLE END"
        )

    def fault(self, a: str, b: str, s: float) -> str | None:
        """Describe the fault of an edge; None for a right one."""
        return self._fault_of_id(a) or self._fault_of_id(b) or self._fault_of_similarity(s)

    def _fault_of_id(self, text: str) -> str | None:
        if not self.integers:
            return None if text else "an id is empty"
        text = text.strip()
        last = _LARGEST_ID if self.n_points is None else self.n_points - 1
        if text.isascii() and text.isdigit() and (self.perhaps_names or int(text) <= last):
            return None
        return (
            f"the id {text!r} is no whole number from 0 to {last}. For any other ids take ids='string' "
            "(--ids string)"
        )

    def _fault_of_similarity(self, s: float) -> str | None:
        if math.isnan(s) or s == (-math.inf if self.distances else math.inf):
            return f"the similarity is {s}; a number is needed. Leave out the line of what is no edge"
        if math.isfinite(s) and abs(s) > self.largest:
            return f"the similarity is {s:g}, which float32 cannot hold. Ask for dtype='float64' (--float64)"
        return None
