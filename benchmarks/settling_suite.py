"""The graphs that the defaults must settle on: kinds that oscillate, and large ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from measure import moses_graph
from numpy.typing import NDArray
from suite import Case, cases, graphs, knn, mutual, union

from sparse_ap.graphs import knn_graph

TOY = Path(__file__).parents[1] / "tests" / "data" / "toy.txt"
TOY_PREFERENCES = (-1.0, -1.2, -1.4, -1.6, -1.8, -2.0, -2.2, -2.4, -2.6, -2.8)


def small() -> Iterator[Case]:
    """Yield graphs of up to 20,000 points."""
    yield from toys()
    yield from lattices()
    yield from tied()
    yield from uneven()
    yield from apart()
    yield from scattered(20_000)
    yield from held_out()
    yield from cases()


def large(molecules: Path | None) -> Iterator[Case]:
    """Yield graphs of 100,000 points and more; ``molecules`` is the file of `measure.moses_graph`."""
    yield from scattered(100_000)
    yield from scattered(1_000_000)
    if molecules is not None:
        graph = moses_graph(molecules)
        for preference in (-1.0, -3.0):
            yield Case(f"1.9M molecules, {preference:g}", graph, preference)


def toys() -> Iterator[Case]:
    """Yield the paper's 25 points, all pairs, at preferences rich in ties."""
    points = np.loadtxt(TOY)
    graph = scipy.sparse.csr_array(-((points[:, None] - points) ** 2).sum(axis=2))
    for preference in TOY_PREFERENCES:
        yield Case(f"toy, {preference:g}", graph, preference)


def at(name: str, graph: Any, *preferences: float) -> Iterator[Case]:
    """Yield a graph at some preferences."""
    for preference in preferences:
        yield Case(f"{name}, {preference:g}", graph, preference)


def edges(row: Any, column: Any, similarity: Any, n: int) -> scipy.sparse.csr_array:
    """Return the graph of some edges."""
    data = np.broadcast_to(np.asarray(similarity, np.float32), np.shape(row)).copy()
    return scipy.sparse.coo_array((data, (row, column)), shape=(n, n)).tocsr()


def both_ways(row: Any, column: Any, similarity: Any, n: int) -> scipy.sparse.csr_array:
    """Return the graph of some edges and their reverses."""
    similarity = np.broadcast_to(similarity, np.shape(row))
    return edges(np.r_[row, column], np.r_[column, row], np.r_[similarity, similarity], n)


def lattice(shape: tuple[int, ...], steps: list[tuple[int, ...]]) -> scipy.sparse.csr_array:
    """Return the graph whose points are joined with those some steps away, at -(length of the step)**2."""
    place = np.arange(np.prod(shape)).reshape(shape)
    rows, columns, lengths = [], [], []
    for step in steps:
        here = tuple(slice(max(0, -d), m - max(0, d)) for d, m in zip(step, shape, strict=True))
        there = tuple(slice(max(0, d), m - max(0, -d)) for d, m in zip(step, shape, strict=True))
        rows.append(place[here].ravel())
        columns.append(place[there].ravel())
        lengths.append(np.full(rows[-1].size, -float(np.dot(step, step))))
    return both_ways(np.concatenate(rows), np.concatenate(columns), np.concatenate(lengths), place.size)


def lattices() -> Iterator[Case]:
    """Yield grids, chains and rings, all steps of a kind equally long."""
    yield from at("chain of 1,000", lattice((1000,), [(1,)]), -1.5, -3.0)
    yield from at("chain of 10,000, 2 steps", lattice((10_000,), [(1,), (2,)]), -2.0, -8.0)
    cross = [(0, 1), (1, 0)]
    yield from at("grid 30 x 30, 4 neighbours", lattice((30, 30), cross), -1.5, -4.0)
    yield from at("grid 140 x 140, 4 neighbours", lattice((140, 140), cross), -1.5, -4.0)
    star = [*cross, (1, 1), (1, -1)]
    yield from at("grid 100 x 100, 8 neighbours", lattice((100, 100), star), -3.0, -10.0)
    wide = [(i, j) for i in range(4) for j in range(-3, 4) if (i, j) > (0, 0)]
    yield from at("grid 60 x 60, 48 neighbours", lattice((60, 60), wide), -20.0, -100.0)
    yield from at("grid 20 x 20 x 20", lattice((20, 20, 20), [(0, 0, 1), (0, 1, 0), (1, 0, 0)]), -2.0)
    n = 2000
    ring = np.arange(n)
    yield from at("ring of 2,000", both_ways(ring, (ring + 1) % n, -1.0, n), -1.5)
    yield from at("one-way ring of 999", edges(np.arange(999), (np.arange(999) + 1) % 999, -1.0, 999), -1.5)


def tied() -> Iterator[Case]:
    """Yield graphs of which all edges, or most, are equal."""
    rng = np.random.default_rng(11)
    n = 5000
    row, column = np.divmod(rng.choice(n * n, 8 * n, replace=False), n)
    apart = row != column
    yield from at("all -1, random", edges(row[apart], column[apart], -1.0, n), -1.0, -1.5, -4.0)
    row, column = np.divmod(np.arange(150 * 150), 150)
    apart = row != column
    almost = edges(row[apart], column[apart], -1.0, 150)
    almost.data[0] = -0.5
    yield from at("all pairs -1 but one", almost, -1.5, -20.0)
    X = np.repeat(rng.random((1000, 2)), 5, axis=0)
    yield from at("1,000 points five times", knn(X, 20), -0.001, -0.02)
    X = np.round(rng.random((4000, 2)) * 40)
    yield from at("rounded points", knn(X, 15), -4.0, -40.0)
    pair = np.arange(0, 4000, 2)
    yield from at("mutual pairs", both_ways(pair, pair + 1, -1.0, 4000), -1.5, -0.5)
    unequal = np.repeat([-1.0, -2.0, -0.25], 1333)[:2000]
    yield from at("mutual pairs, three kinds", both_ways(pair, pair + 1, unequal, 4000), -1.5)
    X = rng.random((6000, 3))
    yield from at("mutual nearest, 3-d", mutual(knn(X, 4)), -0.01)
    coded = knn(rng.random((6000, 10)), 15, 1.0)
    coded.data = np.round(coded.data, 1)
    yield from at("coded distances, 10-d", coded, -1.0, -3.0)


def uneven() -> Iterator[Case]:
    """Yield stars and hubs."""
    spokes = np.arange(1, 5001)
    hub = np.zeros_like(spokes)
    lengths = -np.random.default_rng(5).random(len(spokes))
    yield from at("star, equal", both_ways(spokes, hub, -1.0, 5001), -1.5, -0.9)
    yield from at("star, towards the hub", edges(spokes, hub, lengths, 5001), -0.5, -3.0)
    yield from at("star, both ways", both_ways(spokes, hub, lengths, 5001), -0.5, -3.0)
    yield from at("20 stars in a row", _stars(20, 250), -1.5, -5.0)
    for n_hubs, preference in [(1, -30.0), (3, -30.0), (3, -1000.0)]:
        name = f"hubs of in-degree 10,000: {n_hubs}, {preference:g}"
        yield Case(name, _hubs(n_hubs), preference)


def _stars(n_stars: int, n_spokes: int) -> scipy.sparse.csr_array:
    hubs = np.arange(n_stars) * (n_spokes + 1)
    spokes = (hubs[:, None] + np.arange(1, n_spokes + 1)).ravel()
    row, column = np.r_[spokes, hubs[:-1]], np.r_[np.repeat(hubs, n_spokes), hubs[1:]]
    return both_ways(row, column, -1.0, n_stars * (n_spokes + 1))


def _hubs(n_hubs: int) -> scipy.sparse.csr_array:
    """Points in 10 dimensions, their nearest neighbours, and hubs in the midst that everybody points to."""
    rng = np.random.default_rng(6)
    n = 10_000 + n_hubs
    X = rng.normal(size=(n, 10))
    X[-n_hubs:] *= 0.1
    graph = knn(X, 10).tolil()
    for hub in range(n - n_hubs, n):
        graph[: n - n_hubs, hub] = -((X[: n - n_hubs] - X[hub]) ** 2).sum(axis=1)[:, None]
    return scipy.sparse.csr_array(graph, dtype=np.float32)


def apart() -> Iterator[Case]:
    """Yield disconnected graphs and such as lack edges one way."""
    rng = np.random.default_rng(8)
    islands = [knn(rng.random((m, 2)), min(10, m - 1)) for m in rng.integers(5, 200, 100)]
    alone = scipy.sparse.csr_array((500, 500), dtype=np.float32)
    yield from at("100 islands, 500 alone", scipy.sparse.block_diag([*islands, alone], "csr"), -0.01, -0.1)
    n = 3000
    row = np.repeat(np.arange(n), 10)
    column = (row * rng.random(len(row))).astype(int)
    later = row != column
    graph = edges(row[later], column[later], -rng.random(later.sum()), n)
    yield from at("only towards earlier points", graph, -0.5, -3.0)
    n = 300
    dense = scipy.sparse.csr_array(np.float32(-rng.random((n, n)) * np.linspace(0.5, 2, n)[:, None]))
    yield from at("dense, rows of unlike scale", dense, -0.5, -5.0)
    X = rng.normal(size=(1000, 50))
    yield from at(
        "dense, 50-d normal", scipy.sparse.csr_array(-((X[:, None] - X) ** 2).sum(-1)), -90.0, -500.0
    )


def scattered(n: int) -> Iterator[Case]:
    """Yield k-NN graphs of points in 2, 10 and 50 dimensions at the median similarity and ten times that."""
    for d, k in ((2, 20), (10, 15), (50, 10)):
        graph = knn_graph(_points(n, d), k)
        for factor in (1, 10):
            name = f"{n:,} points, {d}-d, {k}-NN, median x {factor}"
            yield Case(name, graph, factor * float(np.median(graph.data)))


def _points(n: int, d: int) -> NDArray[np.float32]:
    """Uniform in the plane; in more dimensions around 100 centres, so that there is something to find."""
    rng = np.random.default_rng(9)
    if d == 2:
        return rng.random((n, d), np.float32)
    centres = rng.normal(size=(100, d))
    return (centres[rng.integers(100, size=n)] + 0.5 * rng.normal(size=(n, d))).astype(np.float32)


def held_out() -> Iterator[Case]:
    """Yield some graphs of the suite at preferences that nothing was chosen on, and on both sides of it."""
    for name, graph in graphs():
        median = float(np.median(graph.data))
        for factor in (0.5, 30):
            yield Case(f"{name}, median x {factor}", graph, factor * median)
    rng = np.random.default_rng(12)
    joined = union(knn(rng.normal(size=(3000, 20)), 8))
    yield from at("union 20-d", joined, -10.0, -60.0)
