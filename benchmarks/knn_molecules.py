"""The search for neighbours of molecules, as fingerprints of 1,024 bits, beside usearch.

Arguments: the wheel of molsets 0.3.1, a folder for the fingerprints, how many molecules (0: all 1,936,962),
and then the recalls to ask for, and usearch; as `... folder 400_000 0.95 usearch`. Needs rdkit, and usearch
where it is asked for.

Molecules are drawn at random; the fingerprints (Morgan, radius 2) are made once and kept in the folder. 15
neighbours by Tanimoto distance. Rows and recall are those of `knn.py`. usearch has its own defaults and two
threads, with which its graph is not the same in two runs.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from knn import N_THREADS, Points, ours, print_rows, without_itself
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from molecules import N_NEIGHBOURS, bits_of, smiles_in

AT_A_TIME = 5_000


def main() -> None:
    """Make the fingerprints if they are not here, and print a row for each search."""
    if len(sys.argv) < 5 or not Path(sys.argv[1]).exists():
        raise SystemExit("skipped: give the wheel of molsets, a folder, a number of molecules, and searches")
    n = int(sys.argv[3])
    file = some_of(fingerprints(Path(sys.argv[1]), Path(sys.argv[2])), n)
    points = Points(f"{len(np.load(file, mmap_mode='r')):,} molecules", file, N_NEIGHBOURS, 0, "tanimoto")
    print_rows([(points, (by_usearch,) if way == "usearch" else (ours, float(way))) for way in sys.argv[4:]])


def fingerprints(wheel: Path, folder: Path) -> Path:
    """Return the file of all fingerprints, (n, 128) uint8."""
    file = folder / "molecules.npy"
    if not file.exists():
        smiles, start = smiles_in(wheel), time.perf_counter()
        parts = [smiles[begin : begin + AT_A_TIME] for begin in range(0, len(smiles), AT_A_TIME)]
        with multiprocessing.get_context("spawn").Pool(N_THREADS) as pool:
            bits = np.concatenate(pool.map(bits_of, parts, chunksize=1))
        np.save(file, bits)
        print(f"{len(bits):,} fingerprints made in {time.perf_counter() - start:.0f} s", flush=True)
    return file


def some_of(file: Path, n: int) -> Path:
    """Return the file of so many fingerprints, drawn at random."""
    if not n:
        return file
    some = file.with_name(f"molecules-{n}.npy")
    every = np.load(file, mmap_mode="r")
    np.save(some, every[np.sort(np.random.default_rng(1).choice(len(every), n, replace=False))])
    return some


def by_usearch(X: NDArray[Any], points: Points) -> tuple[str, NDArray[Any], str]:
    """Return the neighbours that usearch finds."""
    from usearch.index import Index

    index = Index(ndim=8 * X.shape[1], metric="tanimoto", dtype="b1")
    numbers = np.arange(len(X))
    index.add(numbers, X, threads=N_THREADS)
    found = index.search(X, points.n_neighbours + 1, threads=N_THREADS)
    return "usearch", without_itself(found.keys.astype(np.int64), points.n_neighbours), ""


if __name__ == "__main__":
    main()
