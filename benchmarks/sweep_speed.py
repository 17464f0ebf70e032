"""Time of a sweep against an iteration of naffprop 0.2, on the same graph in one run.

A million uniform points in 3-d with 20 neighbours each; both marginal: the difference of a long run and
a short one, divided by the difference of their sweeps. Needs `pip install naffprop==0.2.0`.
"""

from __future__ import annotations

import naffprop
import numpy as np
from measure import no_convergence_warnings, seconds, uniform_graph, warm_up

from sparse_ap import affinity_propagation

SHORT, LONG = 10, 90
NAFFPROP_SHORT, NAFFPROP_LONG = 3, 23
ROUNDS = 3


def main() -> None:
    graph = uniform_graph(1_000_000)
    print(f"{graph.shape[0]:,} points, {graph.nnz:,} edges")
    for factor in (1, 10):
        preference = factor * float(np.median(graph.data))
        for reorder in (True, False):
            compare(graph, preference, reorder, f"median x {factor}, reorder={reorder}")


def compare(graph: object, preference: float, reorder: bool, name: str) -> None:
    """Time both in turn, and print the ratio of each round."""

    def ours(sweeps: int) -> None:
        affinity_propagation(
            graph,
            preference=preference,
            max_iter=sweeps,
            convergence_iter=sweeps + 1,
            reorder=reorder,
            refine=None,
        )

    def theirs(iterations: int) -> None:
        naffprop.apcluster(graph, p=preference, maxits=iterations, convits=iterations + 1, seed=0)

    warm_up(graph, preference=preference, reorder=reorder)
    ratios = []
    for _ in range(ROUNDS):
        with no_convergence_warnings():
            sweep = (seconds(lambda: ours(LONG)) - seconds(lambda: ours(SHORT))) / (LONG - SHORT)
        iteration = (seconds(lambda: theirs(NAFFPROP_LONG)) - seconds(lambda: theirs(NAFFPROP_SHORT))) / (
            NAFFPROP_LONG - NAFFPROP_SHORT
        )
        ratios.append(iteration / sweep)
        print(
            f"{name}: naffprop {1e3 * iteration:.0f} ms an iteration, sparse_ap {1e3 * sweep:.0f} ms a sweep "
            f"({1e9 * sweep / graph.nnz:.2f} ns an edge): {ratios[-1]:.1f} times",
            flush=True,
        )
    print(f"{name}: median {np.median(ratios):.1f} times faster\n")


if __name__ == "__main__":
    main()
