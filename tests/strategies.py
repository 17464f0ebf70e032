"""Hypothesis strategies for similarity graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from hypothesis import strategies as st


@st.composite
def graphs(draw: Any, max_points: int = 30, dtype: Any = np.float64) -> scipy.sparse.csr_array:
    """Directed graphs of any density, with ties, zeros, one-way edges and isolated points; no diagonal."""
    n = draw(st.integers(1, max_points))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    levels = draw(st.sampled_from([2, 7, 10**6]))
    similarity = -rng.integers(0, levels, (n, n)) / 4
    if draw(st.booleans()):
        similarity = np.minimum(similarity, similarity.T)
    stored = rng.random((n, n)) < density
    np.fill_diagonal(stored, False)
    rows, columns = np.nonzero(stored)
    return scipy.sparse.csr_array(
        scipy.sparse.coo_array((similarity[stored].astype(dtype), (rows, columns)), shape=(n, n))
    )
