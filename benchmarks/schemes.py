"""Net similarity and sweeps of compact, at several dampings, against classic at its best.

Raw answers, before refinement. `python benchmarks/schemes.py` prints the table that
docs/design/0003-damping.md is about; the second argument is a scale for the number of points.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from suite import Case, cases

from sparse_ap import affinity_propagation, clustering

CLASSIC = (0.5, 0.7, 0.8, 0.9)
COMPACT = ((0.5, 0.5), (0.7, 0.5), (0.8, 0.5), (0.8, 0.8), (0.9, 0.5), (0.9, 0.9))
TIES = (1e-3,)
MAX_ITER = 500


class Result(NamedTuple):
    """How a run ended."""

    net_similarity: float
    sweeps: int
    n_clusters: int
    converged: bool


def run(case: Case, scheme: str, damping: float) -> Result:
    """Cluster without refinement."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        c = affinity_propagation(
            case.graph, preference=case.preference, scheme=scheme, damping=damping,
            max_iter=MAX_ITER, refine=None, n_jobs=1, tol=1e-4,
        )  # fmt: skip
    return Result(c.net_similarity, c.n_iter, c.n_clusters, c.converged)


def compare(case: Case) -> tuple[str, tuple[float, Result], dict[tuple[float, float, float], Result]]:
    """Run classic at every damping, keep its best, and compact at every setting."""
    classic = {damping: run(case, "classic", damping) for damping in CLASSIC}
    best = max(classic, key=lambda damping: classic[damping].net_similarity)
    compact = {}
    for (damping, total), ties in itertools.product(COMPACT, TIES):
        clustering.TOTAL_DAMPING = total
        clustering.DEFAULTS["compact"] = clustering.Defaults(damping, 1e-4, ties)
        compact[damping, total, ties] = run(case, "compact", damping)
    return case.name, (best, classic[best]), compact


def main() -> None:
    """Print a row a case, then the summary of each setting."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    gains: dict[tuple[float, float, float], list[float]] = {}
    sweeps: dict[tuple[float, float, float], list[float]] = {}
    failed: dict[tuple[float, float, float], int] = {}
    with ProcessPoolExecutor(2) as pool:
        for name, (damping, classic), compact in pool.map(compare, cases(scale)):
            cells = []
            for setting, result in compact.items():
                gain = 100 * (result.net_similarity / classic.net_similarity - 1) * -1
                gains.setdefault(setting, []).append(gain)
                sweeps.setdefault(setting, []).append(result.sweeps / classic.sweeps)
                failed[setting] = failed.get(setting, 0) + (not result.converged)
                cells.append(f"{gain:+.2f}% {result.sweeps}{'' if result.converged else '!'}")
            mark = "" if classic.converged else "!"
            print(
                f"| {name} | {damping}: {classic.net_similarity:.6g}, {classic.n_clusters}, "
                f"{classic.sweeps}{mark} | " + " | ".join(cells) + " |",
                flush=True,
            )
    print("\n| damping, totals, ties | mean gain | worst | mean sweeps ratio | total ratio | unsettled |")
    for setting, values in gains.items():
        print(
            f"| {setting} | {np.mean(values):+.3f}% | {min(values):+.2f}% | {np.mean(sweeps[setting]):.2f} | "
            f"{np.median(sweeps[setting]):.2f} median | {failed[setting]} |"
        )


if __name__ == "__main__":
    main()
