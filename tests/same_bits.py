"""What must be the same to the bit in every way of running."""

from __future__ import annotations

from typing import Any

from sparse_ap import Clustering


def bits(result: Clustering) -> tuple[Any, ...]:
    """Everything a clustering holds, comparable."""
    return (
        result.labels.tobytes(),
        result.exemplars.tobytes(),
        result.net_similarity,
        result.data_similarity,
        result.n_promoted,
        result.outcome,
        result.history,
    )
