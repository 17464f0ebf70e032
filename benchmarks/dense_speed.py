"""The classic scheme against scikit-learn on a dense problem of 4,000 points, in one run."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import sklearn.cluster
from measure import seconds

from sparse_ap import affinity_propagation

N_POINTS, SHORT, LONG, ROUNDS = 4000, 5, 25, 3


def main() -> None:
    warnings.simplefilter("ignore")
    X = np.random.default_rng(0).normal(size=(N_POINTS, 5))
    similarity = -((X[:, None] - X) ** 2).sum(axis=2)
    affinity_propagation(similarity[:50, :50], max_iter=2)
    ours = partial(affinity_propagation, refine="medoid")  # what scikit-learn does
    runs = {"sparse_ap": ours, "scikit-learn": sklearn.cluster.affinity_propagation}
    for _ in range(ROUNDS):
        total, sweep = {}, {}
        for name, run in runs.items():
            short, total[name] = (
                seconds(lambda n=n, run=run: run(similarity, max_iter=n, convergence_iter=LONG + 1))
                for n in (SHORT, LONG)
            )
            sweep[name] = (total[name] - short) / (LONG - SHORT)
        print(
            f"{LONG} sweeps: {total['scikit-learn']:.2f} s against {total['sparse_ap']:.2f} s, "
            f"{total['scikit-learn'] / total['sparse_ap']:.1f} times; "
            f"a sweep {1e3 * sweep['scikit-learn']:.0f} against {1e3 * sweep['sparse_ap']:.0f} ms, "
            f"{sweep['scikit-learn'] / sweep['sparse_ap']:.1f} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
