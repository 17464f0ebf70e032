"""Net similarity and sweeps of compact against classic at its best damping, before refinement.

`python benchmarks/schemes.py` prints the tables of docs/design/0003-damping.md; an argument scales the
number of points. Classic runs at four dampings with scikit-learn's stop rule and the best of the four
counts; compact runs with its defaults, and for comparison at fixed dampings.
"""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from suite import Case, cases

from sparse_ap import affinity_propagation

CLASSIC = (0.5, 0.7, 0.8, 0.9)
COMPACT = (None, 0.5, 0.7, 0.8, 0.9)
TOLERANCES = (1e-4, 1e-3)
MAX_ITER = 500


class Result(NamedTuple):
    """How a run ended."""

    net_similarity: float
    sweeps: int
    n_clusters: int
    converged: bool

    def __str__(self) -> str:
        return f"{self.sweeps}{'' if self.converged else '!'}"


Setting = tuple[float | None, float]


class Row(NamedTuple):
    """What one case gave."""

    name: str
    classic_damping: float
    classic: Result
    compact: dict[Setting, Result]

    def gain(self, setting: Setting) -> float:
        """Return by how many percent compact's net similarity is better (all are negative)."""
        return 100 * (1 - self.compact[setting].net_similarity / self.classic.net_similarity)


def run(case: Case, scheme: str, damping: float | None, tol: float | None) -> Result:
    """Cluster without refinement."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        c = affinity_propagation(
            case.graph, preference=case.preference, scheme=scheme, damping=damping, tol=tol,
            max_iter=MAX_ITER, refine=None, n_jobs=1,
        )  # fmt: skip
    return Result(c.net_similarity, c.n_iter, c.n_clusters, c.converged)


def compare(case: Case) -> Row:
    """Run classic at every damping, keep its best, and compact at every setting."""
    classic = {damping: run(case, "classic", damping, None) for damping in CLASSIC}
    best = max(classic, key=lambda damping: classic[damping].net_similarity)
    compact = {
        (damping, tol): run(case, "compact", damping, tol)
        for damping in COMPACT
        for tol in (TOLERANCES if damping is None else TOLERANCES[:1])
    }
    return Row(case.name, best, classic[best], compact)


def main() -> None:
    """Print a row a case, then the summary of each setting."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    default = (None, TOLERANCES[0])
    rows = []
    print("| graph, preference | classic: damping, net similarity, clusters, sweeps | compact | sweeps |")
    print("|---|---|---|---|")
    with ProcessPoolExecutor(2) as pool:
        for row in pool.map(compare, cases(scale)):
            rows.append(row)
            classic = row.classic
            best = f"{row.classic_damping}: {classic.net_similarity:.6g}, {classic.n_clusters}, {classic}"
            print(f"| {row.name} | {best} | {row.gain(default):+.2f} % | {row.compact[default]} |")
    print(f"\n{len(rows)} cases; ! did not settle in {MAX_ITER} sweeps. Classic unsettled: ", end="")
    print(sum(not row.classic.converged for row in rows))
    print(
        "\n| damping, tol | mean gain | worst three | sweeps / classic's | unsettled |\n|---|---|---|---|---|"
    )
    classic_sweeps = sum(row.classic.sweeps for row in rows)
    for setting in rows[0].compact:
        gains = sorted(row.gain(setting) for row in rows)
        sweeps = sum(row.compact[setting].sweeps for row in rows)
        unsettled = sum(not row.compact[setting].converged for row in rows)
        name = f"{setting[0] or 'default'}, {setting[1]:g}"
        worst = ", ".join(f"{gain:+.2f} %" for gain in gains[:3])
        print(f"| {name} | {np.mean(gains):+.3f} % | {worst} | {sweeps / classic_sweeps:.2f} | {unsettled} |")


if __name__ == "__main__":
    main()
