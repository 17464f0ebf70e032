"""Twenty families of 1.9 million molecules, each with its exemplar drawn.

    python examples/molecules.py NEIGHBOURS.npz MOLSETS.whl [PICTURE.png]

MOLSETS.whl is what `pip download molsets==0.3.1 --no-deps` brings; the SMILES of MOSES are in it.
NEIGHBOURS.npz holds the 15 nearest neighbours of each molecule by Tanimoto distance: `indices`,
`distance_code`, `distance_table`. If it is not there it is made: seven minutes of
processor time. Needs rdkit. The page docs/molecules.md goes through what is printed.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import time
import zipfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

import sparse_ap
from sparse_ap.graphs import from_knn, knn_graph

PARTS = ("train", "test", "test_scaffolds")  # in this order they are the rows of the graph
N_NEIGHBOURS, N_BITS = 15, 1024
N_FAMILIES = 20
N_SHOWN = 3
N_PAIRS = 4_000
N_DRAWN = 500
# Groups of atoms that a chemist sees in the exemplars, as SMARTS.
GROUPS = {
    "amide of a benzene ring": "c1ccccc1C(=O)N",
    "sulfur-CH2 on an aromatic ring": "[c;R][SX2][CH2]",
    "aromatic N-O-C-N (oxadiazole)": "c1ncon1",
    "N-N in an aromatic ring of five": "[n;r5]1[n;r5][c,n][c,n][c,n]1",
    "sulfonamide": "[#6]S(=O)(=O)[NX3]",
    "thiazole, alone or fused": "c1nccs1",
    "5-aminopyrimidine": "c1ncncc1[NX3]",
    "quinazolinone": "O=c1[n]cnc2ccccc12",
}


def main() -> None:
    """Cluster, print, draw."""
    neighbours, wheel = files()
    smiles = smiles_in(wheel)
    if not neighbours.exists():
        write_neighbours(smiles, neighbours)
    graph = graph_in(neighbours)
    print(f"{graph.shape[0]:,} molecules, {graph.nnz:,} edges")
    require_same_order(graph, smiles)
    tree = tree_of(graph)
    print_levels(tree, smiles)
    families = tree.cut_exactly(N_FAMILIES)
    print_families(tree, families, smiles)
    print_groups(families, smiles)
    print_meaning(tree, families, smiles)
    print_faces(families, smiles)
    picture = Path(sys.argv[3] if len(sys.argv) > 3 else "molecules.png")
    draw(families, smiles, picture)
    print(f"\ndrawn to {picture}")


def files() -> tuple[Path, Path]:
    """Return the two files named on the command line; ends the program where something is missing."""
    given = [Path(argument) for argument in sys.argv[1:3]]
    if len(given) == 2 and given[1].exists() and find_spec("rdkit"):
        return given[0], given[1]
    print("skipped: exemplars of molecules need a NEIGHBOURS.npz, the wheel of molsets, and rdkit")
    raise SystemExit


def smiles_in(wheel: Path) -> list[str]:
    """Return the molecules as text, in the order of the graph's points."""
    smiles: list[str] = []
    with zipfile.ZipFile(wheel) as files:
        for part in PARTS:
            table = gzip.decompress(files.read(f"moses/dataset/data/{part}.csv.gz")).decode()
            smiles += [row["SMILES"] for row in csv.DictReader(io.StringIO(table))]
    return smiles


def write_neighbours(smiles: list[str], neighbours: Path) -> None:
    """Search the nearest neighbours of each molecule by its fingerprint, and write them."""
    start = time.perf_counter()
    graph = knn_graph(bits_of(smiles), N_NEIGHBOURS, metric="tanimoto", verbose=True)
    table, code = np.unique(-graph.data, return_inverse=True)
    shape = (len(smiles), N_NEIGHBOURS)
    code = code.astype(np.min_scalar_type(len(table)))
    indices, code = graph.indices.reshape(shape), code.reshape(shape)
    np.savez(neighbours, indices=indices, distance_code=code, distance_table=table)
    print(f"{neighbours}: recall {graph.recall.value:.3f}, in {time.perf_counter() - start:.0f} s")


def graph_in(neighbours: Path) -> scipy.sparse.csr_array:
    """Return the similarity graph: minus the Tanimoto distance."""
    with np.load(neighbours) as file:
        return from_knn(file["indices"], file["distance_table"][file["distance_code"]])


def bits_of(smiles: list[str]) -> Any:
    """Return the fingerprints as packed bits, shape (n, 128)."""
    from rdkit.Chem import MolFromSmiles

    bits, generator = np.empty((len(smiles), N_BITS // 8), np.uint8), morgan()
    for row, text in zip(bits, smiles, strict=True):
        row[:] = np.packbits(generator.GetFingerprintAsNumPy(MolFromSmiles(text)))
    return bits


def morgan() -> Any:
    """Return what makes Morgan fingerprints of radius 2 and 1,024 bits."""
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    return GetMorganGenerator(radius=2, fpSize=N_BITS)


def fingerprints(smiles: Iterable[str]) -> list[Any]:
    """Return the fingerprints as rdkit compares them."""
    from rdkit.Chem import MolFromSmiles

    generator = morgan()
    return [generator.GetFingerprint(MolFromSmiles(text)) for text in smiles]


def tanimoto(i: Any, k: Any, smiles: list[str]) -> Any:
    """Return the Tanimoto similarity of each molecule of i to that of k in the same place."""
    from rdkit.DataStructs import TanimotoSimilarity

    pairs = zip(fingerprints(smiles[j] for j in i), fingerprints(smiles[j] for j in k), strict=True)
    return np.array([TanimotoSimilarity(one, other) for one, other in pairs])


def require_same_order(graph: scipy.sparse.csr_array, smiles: list[str]) -> None:
    """Compare the distances of some edges with those of the molecules that they are said to link."""
    edges = np.random.default_rng(0).choice(graph.nnz, 1000, replace=False)
    i = np.searchsorted(graph.indptr, edges, side="right") - 1
    difference = np.abs(1 - tanimoto(i, graph.indices[edges], smiles) + graph.data[edges]).max()
    if difference > 1e-6:
        raise SystemExit(f"a distance of the graph differs by {difference:.2g} from that of its molecules")
    print("distances of 1,000 edges are those of their molecules")


def tree_of(graph: scipy.sparse.csr_array) -> sparse_ap.Hierarchy:
    """Return the hierarchy, and print how much processor time it takes."""
    start = time.process_time()
    first = sparse_ap.affinity_propagation(graph, preference=-1)
    first_done = time.process_time() - start
    tree = sparse_ap.hierarchy(graph, clustering=first)
    done = time.process_time() - start
    print(
        f"processor time: first level {first_done:.0f} s, whole tree {done:.0f} s, "
        f"{done / first_done:.2f} times as much\n"
    )
    return tree


def print_levels(tree: sparse_ap.Hierarchy, smiles: list[str]) -> None:
    """Print a row for each level, and the exemplar of its largest cluster."""
    print("level clusters  median    largest  inside  random  resolution  exemplar of the largest")
    for level in range(tree.n_levels):
        sizes = tree.sizes(level)
        # The share of edges inside that clusters of these sizes have if they are drawn by lot.
        random = np.sum((sizes / sizes.sum()) ** 2)
        print(
            f"{level:5} {len(sizes):8,} {np.median(sizes):7,.0f} {sizes.max():10,}"
            f"  {tree.inner_share[level]:6.3f}  {random:6.3f}  {tree.resolutions[level]:10.3g}"
            f"  {smiles[tree.exemplars(level)[sizes.argmax()]]}"
        )


def largest_first(families: sparse_ap.Cut) -> Any:
    """Return the families in order of size."""
    return np.argsort(-families.sizes, kind="stable")


def print_families(tree: sparse_ap.Hierarchy, families: sparse_ap.Cut, smiles: list[str]) -> None:
    """Print each family's exemplar, and under it those of its largest clusters on a finer level."""
    # Of the next finer level some families are a single cluster; on this one all have several.
    finer = tree.cut(N_FAMILIES**2)
    family = families.labels[finer.exemplars]
    for number, label in enumerate(largest_first(families), start=1):
        face = families.exemplars[label]
        inner = np.flatnonzero((family == label) & (finer.exemplars != face))
        print(f"\n{number:2}. {smiles[face]}  {families.sizes[label]:,}")
        for cluster in inner[np.argsort(-finer.sizes[inner], kind="stable")][:N_SHOWN]:
            print(f"      {smiles[finer.exemplars[cluster]]}  {finer.sizes[cluster]:,}")


def pairs_within(labels: Any) -> tuple[Any, Any]:
    """Return random molecules and to each another one of the same cluster."""
    rng = np.random.default_rng(0)
    sizes = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    starts = np.cumsum(sizes) - sizes
    place = rng.choice(np.flatnonzero(sizes[labels[order]] > 1), N_PAIRS)
    label = labels[order[place]]
    # Any member but the one at this place: as many steps on as the cluster has others, round about.
    steps = rng.integers(1, sizes[label])
    return order[place], order[starts[label] + (place - starts[label] + steps) % sizes[label]]


def print_meaning(tree: sparse_ap.Hierarchy, families: sparse_ap.Cut, smiles: list[str]) -> None:
    """Print how alike random pairs of a cluster are: on each level, in the families, and in all."""
    cuts = [(f"level {level}", tree.labels(level)) for level in range(tree.n_levels)]
    cuts += [
        (f"the {N_FAMILIES} families", families.labels),
        ("all molecules", np.zeros_like(families.labels)),
    ]
    print(f"\nTanimoto similarity of {N_PAIRS:,} random pairs within    mean  above .4")
    for name, labels in cuts:
        similarity = tanimoto(*pairs_within(labels), smiles)
        print(f"    {name:46}  {similarity.mean():.3f}    {np.mean(similarity > 0.4):.4f}")


def print_faces(families: sparse_ap.Cut, smiles: list[str]) -> None:
    """Print how much more like its own family's exemplar a molecule is than like the others."""
    molecules = np.random.default_rng(1).choice(len(smiles), N_PAIRS // 8, replace=False)
    shape = (len(molecules), families.n_clusters)
    i, k = np.repeat(molecules, shape[1]), np.tile(families.exemplars, shape[0])
    similarity = tanimoto(i, k, smiles).reshape(shape)
    own = np.arange(shape[1]) == families.labels[molecules][:, None]
    first = np.mean(similarity.argmax(axis=1) == families.labels[molecules])
    print(
        f"to the own exemplar {similarity[own].mean():.3f}, to the others {similarity[~own].mean():.3f}; "
        f"the own one is the most similar for {first:.0%}, by lot {1 / shape[1]:.0%}"
    )


def print_groups(families: sparse_ap.Cut, smiles: list[str]) -> None:
    """Print for each group of atoms in which family most molecules have it, and how many of all have it."""
    rng = np.random.default_rng(2)
    labels = largest_first(families)
    drawn = [rng.choice(np.flatnonzero(families.labels == label), N_DRAWN) for label in labels]
    shares = np.array([shares_with_groups(molecules, smiles) for molecules in drawn])
    overall = shares_with_groups(rng.choice(len(smiles), N_PAIRS), smiles)
    print("\nmolecules with                          of all  of a family")
    for column, group in enumerate(GROUPS):
        best = shares[:, column].argmax()
        print(f"    {group:36} {overall[column]:6.1%}  {shares[best, column]:5.1%} of number {best + 1}")


def shares_with_groups(molecules: Any, smiles: list[str]) -> Any:
    """Return for each group of atoms the share of these molecules that have it."""
    from rdkit.Chem import MolFromSmarts, MolFromSmiles

    patterns = [MolFromSmarts(smarts) for smarts in GROUPS.values()]
    found = [MolFromSmiles(smiles[i]) for i in molecules]
    return np.array([[mol.HasSubstructMatch(group) for group in patterns] for mol in found]).mean(axis=0)


def draw(families: sparse_ap.Cut, smiles: list[str], picture: Path) -> None:
    """Draw the exemplars, the largest family's first, with the sizes of the families."""
    from rdkit.Chem import MolFromSmiles
    from rdkit.Chem.Draw import MolDrawOptions, MolsToGridImage

    labels = largest_first(families)
    options = MolDrawOptions()
    options.legendFontSize, options.legendFraction = 22, 0.15
    options.minFontSize, options.bondLineWidth, options.padding = 14, 2, 0.06
    image = MolsToGridImage(
        [MolFromSmiles(smiles[point]) for point in families.exemplars[labels]],
        molsPerRow=5,
        subImgSize=(300, 195),
        legends=[f"{size:,}" for size in families.sizes[labels]],
        drawOptions=options,
        returnPNG=False,
    )
    image.quantize(64).save(picture, optimize=True)


if __name__ == "__main__":
    main()
