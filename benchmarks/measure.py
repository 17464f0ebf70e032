"""What the benchmarks share: graphs, the seconds of a sweep, the peak memory of a step."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from sparse_ap import SweepReport, affinity_propagation
from sparse_ap.graphs import knn_graph


def uniform_graph(n: int, k: int = 20, d: int = 3) -> scipy.sparse.csr_array:
    """Return the k-NN graph of uniform points, canonical: sorted columns, float32, int32 ids."""
    graph = knn_graph(np.random.default_rng(0).random((n, d)), k)
    graph.sort_indices()
    return graph


def moses_graph(path: Path) -> scipy.sparse.csr_array:
    """Return the graph of 1.9 million molecules; exits where the file is absent."""
    if not path.exists():
        raise SystemExit(f"skipped: {path} is not here")
    with np.load(path) as file:
        indices = file["indices"]
        distances = file["distance_table"][file["distance_code"]]
    n, k = indices.shape
    indptr = np.arange(0, n * k + 1, k, dtype=np.int32)
    return scipy.sparse.csr_array((-distances.ravel(), indices.ravel(), indptr), shape=(n, n))


def exemplar_constraints(graph: scipy.sparse.csr_array) -> tuple[Any, Any]:
    """Return the rows of the linear program on edges and then points, for "= 1" and for "<= 0".

    Each point is an exemplar or is represented along one edge; edges lead to exemplars only.
    """
    n, m = graph.shape[0], graph.nnz
    rows, edges = np.repeat(np.arange(n), np.diff(graph.indptr)), np.arange(m)
    one_each = scipy.sparse.hstack(
        [scipy.sparse.csr_array((np.ones(m), (rows, edges)), shape=(n, m)), scipy.sparse.eye_array(n)]
    )
    only_exemplars = scipy.sparse.hstack(
        [
            scipy.sparse.eye_array(m),
            scipy.sparse.csr_array((-np.ones(m), (edges, graph.indices)), shape=(m, n)),
        ]
    )
    return one_each, only_exemplars


@contextmanager
def no_convergence_warnings() -> Iterator[None]:
    """Silence what runs say that are cut off on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def warm_up(graph: Any, **options: Any) -> None:
    """Compile, or load, the kernels that a run of this kind needs."""
    with no_convergence_warnings():
        affinity_propagation(graph[:100][:, :100], max_iter=2, **options)


def sweep_seconds(graph: Any, n_sweeps: int, **options: Any) -> NDArray[np.float64]:
    """Return the seconds of each sweep but the first."""
    ends: list[float] = []

    def note(report: SweepReport) -> None:
        ends.append(time.perf_counter())

    with no_convergence_warnings():
        affinity_propagation(
            graph, max_iter=n_sweeps, convergence_iter=n_sweeps + 1, refine=None, callback=note, **options
        )
    return np.diff(ends)


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def extra_peak_memory(work: Callable[[], object]) -> int:
    """Return by how many bytes the process's memory rises above what it is now, at most (Linux)."""
    # Writing 5 sets the peak back to what is in use.
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_memory()
    work()
    return peak_memory() - before


def peak_memory() -> int:
    """Return the most memory this process has held, in bytes (Linux).

    Not by getrusage: a process inherits that from the one that started it.
    """
    return _status("VmHWM")


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])
