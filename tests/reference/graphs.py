"""Graphs to try things on: dense matrices in which -inf is no edge, with a preference for each point."""

from typing import NamedTuple

import numpy as np
from effort import examples
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

DAMPINGS = (0.5, 0.7, 0.9)

# Compiling a kernel takes longer than any deadline.
patient = examples(60)

# Few distinct values, so that ties are frequent, and any others.
NUMBERS = st.one_of(st.integers(-4, 4).map(float), st.floats(-100, 100, width=32, allow_subnormal=False))


class Graph(NamedTuple):
    similarity: NDArray[np.float64]
    preference: NDArray[np.float64]

    @property
    def scale(self) -> float:
        """The largest absolute value of a similarity or preference, and at least 1."""
        finite = self.similarity[np.isfinite(self.similarity)]
        return max(1.0, float(np.abs(finite).max(initial=0)), float(np.abs(self.preference).max()))


@st.composite
def graphs(draw: st.DrawFn, most_points: int = 10) -> Graph:
    """Any small graph: ties, stored zeros, one-way edges, rows without edges, one point."""
    n = draw(st.integers(1, most_points))
    similarity = draw(hnp.arrays(np.float64, (n, n), elements=NUMBERS))
    if draw(st.booleans(), label="symmetric"):
        similarity = np.triu(similarity) + np.triu(similarity, 1).T
    if draw(st.booleans(), label="sparse"):
        similarity[~draw(hnp.arrays(np.bool_, (n, n)))] = -np.inf
    np.fill_diagonal(similarity, 0)
    return Graph(similarity, draw(hnp.arrays(np.float64, n, elements=NUMBERS)))


def random_graph(seed: int, n: int, density: float, *, symmetric: bool) -> Graph:
    """A graph without ties."""
    rng = np.random.default_rng(seed)
    similarity = -10 * rng.random((n, n))
    absent = rng.random((n, n)) >= density
    if symmetric:
        similarity = np.triu(similarity) + np.triu(similarity, 1).T
        absent = np.triu(absent) | np.triu(absent, 1).T
    similarity[absent] = -np.inf
    np.fill_diagonal(similarity, 0)
    return Graph(similarity, -4 - 4 * rng.random(n))
