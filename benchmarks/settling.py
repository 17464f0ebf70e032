"""Whether runs with default parameters settle, and in how many sweeps.

A run is settled if it ended by itself within the default ``max_iter``, at most 1e-4 of the points (none of
fewer than 10,000) changed status in its last 30 sweeps, and its net similarity is within .1 % of what a run
of five times ``max_iter`` sweeps gives that never stops. Nothing is refined: the messages alone are judged.

`python benchmarks/settling.py small` takes minutes. `all`, and for the molecules the file moses_knn15.npz as
second argument, takes hours.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from measure import no_convergence_warnings
from settling_suite import large, small
from suite import Case

from sparse_ap import Clustering, affinity_propagation

LAST = 30
MAX_ITER = 200
SHARE_UNSETTLED, SHARE_WORSE = 1e-4, 1e-3


class Row(NamedTuple):
    """What one case gave; ``change`` is the net similarity's, in shares, against five times the sweeps."""

    case: str
    n_points: int
    sweeps: int
    outcome: str
    n_clusters: int
    changed: int
    change: float

    @property
    def settled(self) -> bool:
        """Whether the run is settled, as this file defines it."""
        return (
            self.outcome in ("CONVERGED", "ALL_EQUAL")
            and self.changed <= SHARE_UNSETTLED * self.n_points
            and abs(self.change) <= SHARE_WORSE
        )


def run(case: Case) -> Row:
    """Cluster with the defaults, then with five times the sweeps, which nothing stops."""
    n = case.graph.shape[0]
    ours = clustered(case)
    long = clustered(case, max_iter=5 * MAX_ITER, convergence_iter=5 * MAX_ITER)
    change = (ours.net_similarity - long.net_similarity) / abs(long.net_similarity or 1.0)
    return Row(
        case.name, n, ours.n_iter, ours.outcome.name, ours.n_clusters, changed_lately(case, ours), change
    )


def clustered(case: Case, **options: Any) -> Clustering:
    """Cluster without refinement."""
    with no_convergence_warnings():
        return affinity_propagation(
            case.graph, preference=case.preference, scheme="compact", refine=None, n_jobs=1, **options
        )


def changed_lately(case: Case, ours: Clustering) -> int:
    """Return how many points changed status in the last sweeps: the run again, told to look back so far."""
    if not ours.history:
        return 0
    again = clustered(case, max_iter=ours.n_iter, convergence_iter=LAST + 1)
    assert again.history[-1].sweep == ours.n_iter
    return again.n_unsettled


def main() -> None:
    """Print a row a case, then how many are settled and the sweeps of all."""
    molecules = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    every = small() if sys.argv[1:2] == ["small"] else chain(small(), large(molecules))
    rows = []
    print("| graph, preference | points | sweeps | outcome | clusters | changed | net similarity | settled |")
    print("|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2) as pool:
        for row in pool.map(run, every):
            rows.append(row)
            print(
                f"| {row.case} | {row.n_points:,} | {row.sweeps} | {row.outcome} | {row.n_clusters:,} | "
                f"{row.changed:,} | {100 * row.change:+.3f} % | {'yes' if row.settled else '**no**'} |",
                flush=True,
            )
    settled = sum(row.settled for row in rows)
    print(f"\n{settled} of {len(rows)} settled, {sum(row.sweeps for row in rows):,} sweeps")


if __name__ == "__main__":
    main()
