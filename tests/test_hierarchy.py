"""Trees of exemplars: levels nest, edges are counted right, and every way of running gives the same tree."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.cluster.hierarchy
import scipy.sparse
from click.testing import CliRunner
from clusters import RunningCluster
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from internals import change
from numpy.typing import NDArray
from same_bits import bits
from samples import knn_similarity
from scipy.sparse.csgraph import connected_components
from strategies import graphs

from sparse_ap import (
    AffinityPropagation,
    Clustering,
    Cut,
    Hierarchy,
    InvalidInputError,
    Outcome,
    affinity_propagation,
    hierarchy,
)
from sparse_ap.cli.commands import main
from sparse_ap.clustering.cluster_graph import LinkedGraph, overlap_similarity
from sparse_ap.clustering.natural import link_graph
from sparse_ap.clustering.natural.faces import elected
from sparse_ap.clustering.natural.free_groups import FreeGroups
from sparse_ap.clustering.natural.merging import merged_evenly, merged_to, merged_within
from sparse_ap.execution.blocking import BlockedGraph, cut_rows
from sparse_ap.execution.local import SerialExecutor
from sparse_ap.graphs import knn_graph, write_graph
from sparse_ap.kernels.coarsening import Links, weights
from sparse_ap.storage.memory import MemoryStore

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The package's attribute of that name is the function.
hierarchy_module = sys.modules["sparse_ap.clustering.hierarchy"]
GRAPH = knn_similarity(2000, 8, 2, seed=6)


@pytest.fixture(scope="module")
def tree() -> Hierarchy:
    return hierarchy(GRAPH)


def tree_bits(tree: Hierarchy) -> tuple[Any, ...]:
    """Everything a hierarchy holds, comparable."""
    of_graphs = [(g.indptr.tolist(), g.indices.tolist(), g.data.tobytes()) for g in tree.graphs]
    resolutions = None if tree.resolutions is None else tree.resolutions.tobytes()
    return (
        [bits(c) for c in tree.clusterings],
        of_graphs,
        tree.n_inner_edges.tolist(),
        tree.n_edges,
        resolutions,
        None if tree.free is None else free_bits(tree.free),
    )


def free_bits(free: FreeGroups) -> dict[str, Any]:
    return {name: (str(part.dtype), part.tobytes()) for name, part in free.arrays().items()}


def require_nested(tree: Hierarchy) -> None:
    for finer, coarser in itertools.pairwise(range(tree.n_levels)):
        assert set(tree.exemplars(coarser)) < set(tree.exemplars(finer))
        np.testing.assert_array_equal(tree.parents(finer)[tree.labels(finer)], tree.labels(coarser))
    for level in range(tree.n_levels):
        labels, exemplars = tree.labels(level), tree.exemplars(level)
        np.testing.assert_array_equal(labels[exemplars], np.arange(len(exemplars)))
        np.testing.assert_array_equal(tree.sizes(level), np.bincount(labels, minlength=len(exemplars)))
        assert (np.diff(exemplars) > 0).all()


@pytest.mark.filterwarnings("ignore::sparse_ap.PositiveSimilarityWarning")
@pytest.mark.filterwarnings("ignore:All samples have mutually equal:UserWarning")
@examples(25)
@given(graphs(), st.booleans())
def test_levels_nest_and_components_never_merge(graph: scipy.sparse.csr_array, twice: bool) -> None:
    matrix = scipy.sparse.block_diag([graph, graph], format="csr") if twice else graph
    tree = hierarchy(matrix)
    require_nested(tree)
    edges = matrix.tocoo()
    linked = scipy.sparse.coo_array((np.ones(matrix.nnz), (edges.row, edges.col)), shape=matrix.shape)
    _, component = connected_components(linked, directed=False)
    for level in range(tree.n_levels):
        labels, exemplars = tree.labels(level), tree.exemplars(level)
        np.testing.assert_array_equal(component[exemplars[labels]], component)
        assert tree.n_inner_edges[level] == np.count_nonzero(labels[edges.row] == labels[edges.col])


def test_of_one_point_and_of_none() -> None:
    alone = hierarchy(scipy.sparse.csr_array((1, 1)))
    assert (alone.n_levels, alone.labels().tolist(), alone.exemplars().tolist()) == (1, [0], [0])
    assert alone.inner_share.tolist() == [1.0]
    assert alone.to_linkage().shape == (0, 4)


def test_a_tree_of_a_graph(tree: Hierarchy) -> None:
    require_nested(tree)
    assert tree.n_levels >= 4
    assert tree.n_clusters[-1] <= 10
    assert (np.diff(tree.n_clusters) < 0).all()
    assert (np.diff(tree.inner_share) > 0).all()
    assert tree.n_edges == GRAPH.nnz
    assert bits(tree.clusterings[0]) == bits(affinity_propagation(GRAPH))
    assert repr(tree).startswith("Hierarchy(2000 points > ")


def test_groups_that_are_there_are_found() -> None:
    centres = np.random.default_rng(3).normal(size=(7, 5)) * 30
    kind = np.repeat(np.arange(7), [300, 200, 150, 100, 80, 60, 40])
    points = centres[kind] + np.random.default_rng(4).normal(size=(len(kind), 5))
    found = hierarchy(knn_graph(points, 15)).cut(7)
    np.testing.assert_array_equal(kind[found.exemplars][found.labels], kind)
    assert found.n_clusters == 7


def linked_graph(counts: NDArray[np.int64], most_pairs: int) -> LinkedGraph:
    """Take each entry for so many links."""
    store = MemoryStore.from_sparse(scipy.sparse.csr_array(counts.astype(np.float32)))
    graph = BlockedGraph(store, cut_rows(store.indptr, 3), SerialExecutor())
    return LinkedGraph(graph, None, lambda n_clusters: most_pairs, weights)


@given(
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.02, 0.2, 0.8]),
    st.sampled_from([1, 10, 100, 10**6]),
)
def test_overlaps_against_a_dense_oracle(n: int, seed: int, density: float, most_pairs: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, (n, n)) * (rng.random((n, n)) < density)
    links = (counts + counts.T).astype(float)
    shares = links / np.maximum(links.sum(axis=1, keepdims=True), 1)
    for row in shares:
        row[np.argsort(-row, kind="stable")[15:]] = 0
    overlap = np.sqrt(shares) @ np.sqrt(shares).T
    np.fill_diagonal(overlap, 0)
    found = overlap_similarity(linked_graph(counts, most_pairs).shares(np.arange(n), n).roots)
    assert found.has_canonical_format
    for i in range(n):
        expected = np.sort(overlap[i][overlap[i] > 0])[::-1][:15]
        row = found[[i]]
        np.testing.assert_allclose(np.sort(np.exp(row.data))[::-1], np.minimum(expected, 1), rtol=1e-5)
        np.testing.assert_allclose(np.exp(row.data), np.minimum(overlap[i, row.indices], 1), rtol=1e-5)


def test_equal_overlaps_are_kept_by_number() -> None:
    """Twenty clusters that are all alike: each keeps the first fifteen others."""
    links = linked_graph(np.ones((20, 20), np.int64), 50)
    found = overlap_similarity(links.shares(np.arange(20), 20).roots)
    for i in range(20):
        np.testing.assert_array_equal(found[[i]].indices, np.delete(np.arange(20), i)[:15])
    np.testing.assert_allclose(found.data, np.log(0.75), rtol=1e-6)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=30), max_size=8),
    st.integers(0, 8),
    st.integers(1, 60),
)
def test_links_add_up(blocks: list[list[tuple[int, int]]], start: int, most: int) -> None:
    begun = Links(9, start, 9, most)
    counted = [
        begun.with_edges(*np.array(block, np.int32).reshape(-1, 2).T) if block else begun for block in blocks
    ]
    total = sum(counted, begun)
    assert start < total.stop <= 9
    expected = Counter(
        (min(edge), max(edge))
        for block in blocks
        for edge in block
        if any(start <= end < total.stop for end in edge)
    )
    pair, n_edges = total.merged()
    assert dict(zip(pair.tolist(), n_edges.tolist(), strict=True)) == {
        a * 9 + b: count for (a, b), count in expected.items()
    }
    assert (np.diff(pair) > 0).all()
    assert all(len(a.pair) >= 2 * len(b.pair) for a, b in itertools.pairwise(total.runs))
    assert len(pair) <= most or total.stop == start + 1
    assert total == sum(counted[::-1], begun) or total.stop != sum(counted[::-1], begun).stop


def test_the_same_tree_in_every_way(
    tree: Hierarchy, tmp_path: Path, cluster: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_graph(GRAPH, tmp_path / "graph.zarr")
    change(monkeypatch, least_edges=512)
    change(monkeypatch, streamed_edges=1 << 11)
    ways: list[dict[str, Any]] = [
        {"similarity": GRAPH, "n_jobs": 1},
        {"similarity": GRAPH, "n_jobs": 3},
        {"similarity": tmp_path / "graph.zarr"},
        {"similarity": tmp_path / "graph.zarr", "client": cluster.client},
    ]
    for way in ways:
        assert tree_bits(hierarchy(**way)) == tree_bits(tree), way
    # On the cluster itself, a small graph though it is.
    change(monkeypatch, local_edges=0)
    assert tree_bits(hierarchy(**ways[-1], clustering=tree.clusterings[0])) == tree_bits(tree)


def test_few_clusters_at_a_time_give_the_same_tree(tree: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hierarchy_module, "pairs_counted", lambda limit, n_clusters: 300)
    assert tree_bits(hierarchy(GRAPH, n_jobs=2)) == tree_bits(tree)


def test_links_that_do_not_fit_into_memory_give_the_same_tree(
    tree: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_graph, "rows_fit", lambda limit: (2000, 5000))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert tree_bits(hierarchy(GRAPH, clustering=tree.clusterings[0], n_jobs=2)) == tree_bits(tree)
    assert list(tmp_path.iterdir()) == []


def test_renumbered_points_give_the_same_tree(tree: Hierarchy, tmp_path: Path) -> None:
    write_graph(GRAPH, tmp_path / "graph.zarr", order="rcm")
    assert tree_bits(hierarchy(tmp_path / "graph.zarr")) == tree_bits(tree)


def test_a_clustering_to_begin_with(tree: Hierarchy) -> None:
    first = affinity_propagation(GRAPH, preference=20 * np.median(GRAPH.data))
    other = hierarchy(GRAPH, clustering=first)
    assert other.clusterings[0] is first
    assert other.n_clusters[0] < tree.n_clusters[0]
    require_nested(other)


def test_a_pair_counts_once_whether_one_end_stores_it_or_both(tree: Hierarchy) -> None:
    first = tree.clusterings[0]
    both = scipy.sparse.csr_array((np.ones(GRAPH.nnz), GRAPH.indices, GRAPH.indptr), shape=GRAPH.shape)
    both = (both + both.T).tocsr()
    both.data[:] = 1
    one = scipy.sparse.csr_array(scipy.sparse.triu(both))
    found = [hierarchy(GRAPH, clustering=first, links=links) for links in (both, one)]
    for level in range(found[0].n_levels):
        np.testing.assert_array_equal(found[0].labels(level), found[1].labels(level))


def test_links_are_taken_from_disk_and_in_any_order(tree: Hierarchy, tmp_path: Path) -> None:
    ones = GRAPH.copy()
    ones.data[:] = 1
    path = write_graph(ones, tmp_path / "links.zarr", order="rcm").path
    first = tree.clusterings[0]
    expected = hierarchy(GRAPH, clustering=first, links=ones)
    assert tree_bits(hierarchy(GRAPH, clustering=first, links=path)) == tree_bits(expected)


def test_the_quality_of_each_level(tree: Hierarchy) -> None:
    """Above level 1 the net similarity is the share of linked pairs inside, less those expected by chance."""
    linked = (abs(GRAPH) + abs(GRAPH).T).toarray() > 0
    degree = linked.sum(axis=1)
    chance = np.outer(degree, degree) / degree.sum()
    assert tree.resolutions is not None
    assert np.isnan(tree.resolutions[:2]).all()
    assert 1.0 in tree.resolutions
    for level in range(2, tree.n_levels):
        labels, resolution = tree.labels(level), tree.resolutions[level]
        gain = (linked - resolution * chance)[labels[:, None] == labels].sum() / degree.sum()
        assert tree.net_similarity(level) == pytest.approx(gain)
        found = tree.graphs[level]
        indicator = np.eye(tree.n_clusters[level])[labels]
        np.testing.assert_array_equal(found.toarray(), indicator.T @ linked @ indicator)


def test_exemplars_are_elected(tree: Hierarchy) -> None:
    """From loops: links into the own cluster of level 0, the rest of that below, the rest of the group."""
    linked = (abs(GRAPH) + abs(GRAPH).T).toarray() > 0
    candidates = tree.exemplars(0)
    inside = [
        (linked & (k[:, None] == k)).sum(axis=1)[candidates] for k in map(tree.labels, range(tree.n_levels))
    ]
    groups, scores = [tree.labels(k)[candidates] for k in range(1, tree.n_levels)], []
    for level, group in enumerate(groups, start=1):
        shells = (inside[0], inside[level - 1] - inside[0], inside[level] - inside[level - 1])
        spread = sum(np.sqrt(shell) for shell in shells)
        scores.append(spread / np.array([max(1e-9, spread[group == g].max()) for g in group]))
    for level, found in enumerate(elected(groups, scores), start=1):
        np.testing.assert_array_equal(candidates[found], tree.exemplars(level))


def test_clusters_live_between_two_resolutions(tree: Hierarchy) -> None:
    """At the first end merging with another neither gains nor loses; at the second, a part leaving."""
    linked = ((abs(GRAPH) + abs(GRAPH).T).toarray() > 0).astype(float)
    degree = linked.sum(axis=1)

    def even(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
        return float(linked[np.ix_(a, b)].sum() * degree.sum() / (degree[a].sum() * degree[b].sum()))

    for level in range(2, tree.n_levels):
        labels, below = tree.labels(level), tree.labels(level - 1)
        others = range(tree.n_clusters[level])
        for cluster, (low, high) in enumerate(tree.persistence(level)):
            own = labels == cluster
            assert low == pytest.approx(max(even(own, labels == k) for k in others if k != cluster))
            parts = [below == part for part in np.flatnonzero(tree.parents(level - 1) == cluster)]
            leaving = [even(part, own & ~part) for part in parts if len(parts) > 1]
            assert high == pytest.approx(min(leaving, default=np.inf))
    assert np.isnan(tree.persistence(0)).all()
    assert np.isnan(tree.persistence(1)).tolist() == [[False, True]] * tree.n_clusters[1]
    assert tree.lives.shape == (tree.n_levels, 2)
    for level, half in enumerate(tree.lives):
        of_points = np.sort(tree.persistence(level)[tree.labels(level)], axis=0)
        np.testing.assert_array_equal(half, of_points[(len(of_points) - 1) // 2])


def test_trees_of_earlier_versions_do_not_know_how_long_clusters_live(tree: Hierarchy) -> None:
    old = Hierarchy(tree.clusterings, tree.graphs, tree.n_inner_edges, tree.n_edges)
    assert np.isnan(old.lives).all()
    np.testing.assert_array_equal(old.representatives(2), tree.representatives(2))


@pytest.mark.parametrize("m", [1, 3, 8])
def test_representatives_stand_for_most_points(tree: Hierarchy, m: int) -> None:
    """Against counting: the points of all clusters that an exemplar has on finer levels."""
    for level in range(tree.n_levels):
        found, exemplars = tree.representatives(level, m), tree.exemplars(level)
        assert found.shape == (len(exemplars), m)
        np.testing.assert_array_equal(found[:, 0], exemplars)
        counted: Counter[int] = Counter()
        for finer in range(max(1, level)):
            counted.update(dict(zip(tree.exemplars(finer).tolist(), tree.sizes(finer).tolist(), strict=True)))
        for cluster, chosen in enumerate(found):
            inside = [e for e in tree.exemplars(0).tolist() if tree.labels(level)[e] == cluster]
            others = sorted((e for e in inside if e != exemplars[cluster]), key=lambda e: (-counted[e], e))
            expected = [exemplars[cluster], *others][:m]
            assert chosen.tolist() == expected + [-1] * (m - len(expected))


def test_a_number_of_representatives_that_cannot_be(tree: Hierarchy) -> None:
    with pytest.raises(InvalidInputError, match=r"^m=0; it must be at least 1, a whole number"):
        tree.representatives(-1, 0)


def test_links_are_added_up(tree: Hierarchy) -> None:
    first = tree.clusterings[0]
    weights = GRAPH.copy()
    weights.data = np.random.default_rng(0).integers(0, 9, GRAPH.nnz).astype(np.float32)
    found = hierarchy(GRAPH, clustering=first, links=weights, max_levels=2)
    edges = weights.tocoo()
    for level in range(2):
        labels = found.labels(level)
        assert found.n_inner_edges[level] == edges.data[labels[edges.row] == labels[edges.col]].sum()
    assert found.n_edges == weights.data.sum()


@pytest.mark.parametrize("weight", [-1.0, 0.5, np.nan, np.inf, 2.0**25])
def test_links_that_do_not_add_up(tree: Hierarchy, weight: float) -> None:
    links = GRAPH.copy()
    links.data[:] = 1
    links.data[8 * 7 + 2] = weight
    text = (
        f"links has the weight {weight:g} at (7, {links.indices[58]}); whole numbers from 0 to 16,777,216 "
        "are needed, whose sums are exact. Multiply by some number, and round."
    )
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        hierarchy(GRAPH, clustering=tree.clusterings[0], links=links)


def test_fewer_levels(tree: Hierarchy) -> None:
    short = hierarchy(GRAPH, max_levels=2)
    assert tree_bits(short)[0] == tree_bits(tree)[0][:2]


def test_a_lower_preference_makes_fewer_clusters(tree: Hierarchy) -> None:
    assert hierarchy(GRAPH, level_preference=8.0).n_clusters[1] < tree.n_clusters[1]


def test_the_nearest_level(tree: Hierarchy) -> None:
    counts = tree.n_clusters
    for level, count in enumerate(counts):
        assert tree.nearest_level(int(count)) == level
        assert tree.cut(int(count)).n_clusters == count
    assert tree.nearest_level(10**9) == 0
    assert tree.nearest_level(1) == tree.n_levels - 1
    between = int(np.sqrt(counts[0] * counts[1]))
    assert tree.nearest_level(between - 1) == 1
    assert tree.nearest_level(between + 2) == 0


@pytest.mark.parametrize("n_clusters", [5, 20, 100])
def test_exactly_so_many_clusters(tree: Hierarchy, n_clusters: int) -> None:
    found = tree.cut_exactly(n_clusters)
    assert found.n_clusters == n_clusters
    np.testing.assert_array_equal(found.labels[found.exemplars], np.arange(n_clusters))
    finer = int(np.flatnonzero(tree.n_clusters >= n_clusters)[-1])
    assert set(found.exemplars) <= set(tree.exemplars(finer))
    np.testing.assert_array_equal(found.labels[tree.exemplars(finer)][tree.labels(finer)], found.labels)


def test_exact_cuts_say_whether_they_nest(tree: Hierarchy) -> None:
    for n_clusters in range(2, int(tree.n_clusters[1])):
        found = tree.cut_exactly(n_clusters)
        coarser = [level for level in range(tree.n_levels) if tree.n_clusters[level] < n_clusters]
        inside = [(c[found.exemplars][found.labels] == c).all() for c in map(tree.labels, coarser)]
        assert found.nested is all(inside)
    assert not tree.cut_exactly(5, nested=False).nested


def test_groups_leave_parts_where_these_cost_gain() -> None:
    """Against dense sums; both ways occur."""
    rng, left = np.random.default_rng(0), 0
    for _ in range(30):
        half = rng.integers(0, 9, (12, 12)).astype(float)
        weights, part = half + half.T, rng.integers(0, 2, 12)
        chance = np.outer(weights.sum(0), weights.sum(0)) / weights.sum()
        links = scipy.sparse.csr_array(weights)
        both = [merged_to(links, parts, 4) for parts in (part, None)]
        kept, free = (((weights - chance) * (g[:, None] == g)).sum() / weights.sum() for g in both)
        label, within = merged_within(links, part, 4, may_leave=True)
        assert within == (free - kept <= 0.01)
        np.testing.assert_array_equal(label, both[not within])
        np.testing.assert_array_equal(merged_within(links, part, 4, may_leave=False)[0], both[0])
        left += not within
    assert 0 < left < 30


def test_groups_are_evened_only_where_one_is_too_large() -> None:
    """Twelve cliques in a ring: ten in one group and two alone are less than half as even as four by four."""
    ring = np.roll(np.eye(12), 1, axis=1) + np.roll(np.eye(12), -1, axis=1)
    links = scipy.sparse.csr_array(30 * np.eye(12) + ring)
    for sizes, evened in (([10, 1, 1], True), ([8, 3, 1], False), ([4, 4, 4], False)):
        found = merged_evenly(links, np.repeat([0, 1, 2], sizes), 3)
        assert (found is not None) is evened
    assert merged_evenly(links, np.zeros(12, int), 1) is None
    found = merged_evenly(links, np.repeat([0, 1, 2], [10, 1, 1]), 3)
    assert found is not None
    assert np.bincount(found).max() <= 6


def test_no_coarse_level_has_one_large_group_beside_tiny_ones() -> None:
    """Twenty communities in a ring, and eight tiny ones out of which hardly an edge leads.

    At small resolutions the ring is one group, and each of the tiny ones its own.
    """
    rng, kind = np.random.default_rng(0), np.repeat(np.arange(28), [30] * 20 + [6] * 8)
    inside = np.concatenate([rng.choice(np.flatnonzero(kind == c), 5) for c in kind])
    around = (kind[:600] + rng.choice([-1, 1], (3, 600))) % 20
    rows = np.concatenate([np.repeat(np.arange(648), 5), np.tile(np.arange(600), 3), np.arange(600, 648, 6)])
    columns = [inside, (30 * around + rng.integers(0, 30, around.shape)).ravel(), rng.integers(0, 600, 8)]
    edges = (-rng.uniform(1, 1.1, len(rows)), (rows, np.concatenate(columns)))
    graph = scipy.sparse.coo_array(edges, shape=(648, 648))
    graph.setdiag(0)
    graph.eliminate_zeros()
    graph = graph.tocsr()
    tree = hierarchy(graph, clustering=affinity_propagation(graph, refine="medoid"))
    coarse = [level for level in range(tree.n_levels) if tree.resolutions[level] < 1]
    assert coarse
    for level in coarse:
        links, parents = tree.graphs[level - 1], tree.parents(level - 1)
        dense, chance = links.toarray(), np.outer(links.sum(axis=1), links.sum(axis=1)) / links.sum()
        merged = merged_to(links, None, int(tree.n_clusters[level]))
        gains = [((dense - chance) * (g[:, None] == g)).sum() / links.sum() for g in (parents, merged)]
        assert gains[0] >= gains[1] - 0.01
        assert tree.n_clusters[level] < 4 or tree.sizes(level).max() < 216


def test_free_groups_against_dense_matrices(tree: Hierarchy) -> None:
    """They lie inside each other; gains, links and exemplars are what the links between points say."""
    assert tree.free is not None
    assert tree.free.labels.dtype == np.uint8
    linked = (abs(GRAPH) + abs(GRAPH).T).toarray() > 0
    degree = linked.sum(axis=1)
    chance = np.outer(degree, degree) / degree.sum()
    labels, below = tree.free.labels.astype(np.int64), np.arange(2000)
    for level in tree.free.levels:
        same = labels[:, None] == labels
        inner = (linked & same).sum(axis=1)
        for group, exemplar in enumerate(level.exemplars):
            candidates = below[labels[below] == group]
            assert exemplar == candidates[inner[candidates].argmax()]
        if np.isfinite(level.resolution):
            gain = (linked - level.resolution * chance)[same].sum() / degree.sum()
            assert level.gain == pytest.approx(gain)
        indicator = np.eye(len(level.exemplars))[labels]
        np.testing.assert_array_equal(level.graph.toarray(), indicator.T @ linked @ indicator)
        labels, below = level.parents[labels], level.exemplars
    assert [level.resolution for level in tree.free.levels[1:]] == [3.0, 1.0, 0.5, 0.25]
    assert tree.free.natural is tree.free.levels[2]


def test_every_number_of_free_groups(tree: Hierarchy) -> None:
    assert tree.free is not None
    finer = tree.free.labels.astype(np.int64)
    divides = 0
    for n_clusters in range(int(tree.free.n_groups[0]), 0, -1):
        found = tree.cut_exactly(n_clusters, nested=False)
        assert found.n_clusters == n_clusters
        np.testing.assert_array_equal(found.labels[found.exemplars], np.arange(n_clusters))
        assert (np.diff(found.exemplars) > 0).all()
        # Cuts lie inside each other.
        assert len(set(zip(finer, found.labels, strict=True))) == finer.max() + 1
        divides += len(set(zip(tree.labels(0), found.labels, strict=True))) > tree.n_clusters[0]
        finer = found.labels
    assert divides
    more = int(tree.free.n_groups[0]) + 1
    np.testing.assert_array_equal(tree.cut_exactly(more, nested=False).labels, tree.cut_exactly(more).labels)


def test_no_free_groups(tree: Hierarchy) -> None:
    """One level is cut as it is; what an earlier version saved says so."""
    lone = hierarchy(GRAPH, clustering=tree.clusterings[0], max_levels=1)
    assert lone.free is None
    np.testing.assert_array_equal(lone.cut_exactly(100, nested=False).labels, lone.cut_exactly(100).labels)
    earlier = dataclasses.replace(tree, free=None)
    with pytest.raises(InvalidInputError, match=r"nested=False, but .*an earlier version saved it\. Build"):
        earlier.cut_exactly(5, nested=False)


def test_exactly_as_many_as_a_level_has(tree: Hierarchy) -> None:
    found = tree.cut_exactly(int(tree.n_clusters[1]))
    np.testing.assert_array_equal(found.labels, tree.labels(1))


def test_more_clusters_than_there_are(tree: Hierarchy) -> None:
    text = (
        f"n_clusters=1999, but the finest level has {tree.n_clusters[0]} clusters. Give a smaller number, or "
        "cluster the graph itself: affinity_propagation(..., n_clusters=...)."
    )
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        tree.cut_exactly(1999)


@pytest.mark.parametrize("level", [0, 1, 2, -2])
def test_the_linkage_is_scipys(tree: Hierarchy, level: int) -> None:
    linkage = tree.to_linkage(level)
    assert scipy.cluster.hierarchy.is_valid_linkage(linkage)
    for coarser in range(level % tree.n_levels, tree.n_levels):
        height = coarser - level % tree.n_levels
        flat = scipy.cluster.hierarchy.fcluster(linkage, height + 0.5, "distance")
        ours = tree.labels(coarser)[tree.exemplars(level)]
        assert len(set(zip(flat, ours, strict=True))) == len(set(flat)) == len(set(ours))


def test_saved_and_loaded(tree: Hierarchy, tmp_path: Path) -> None:
    tree.save(tmp_path / "tree.npz")
    assert tree_bits(Hierarchy.load(tmp_path / "tree.npz")) == tree_bits(tree)


def test_a_clustering_saved_and_loaded(tmp_path: Path) -> None:
    for certify in (False, True):
        clustering = affinity_propagation(GRAPH, certify=certify, max_iter=20)
        clustering.save(tmp_path / "clustering.npz")
        loaded = Clustering.load(tmp_path / "clustering.npz")
        assert bits(loaded) == bits(clustering)
        assert loaded.optimality_gap == clustering.optimality_gap
        assert loaded.preference == clustering.preference
        assert type(loaded.net_similarity) is type(loaded.preference) is float


@pytest.mark.parametrize("what", [Clustering, Hierarchy])
def test_files_that_hold_something_else(what: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    np.save(tmp_path / "other.npy", np.arange(3))
    (tmp_path / "text.npz").write_text("labels")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:-40])
    (tmp_path / "folder.npz").mkdir()
    text = f"{tmp_path / 'other.npz'} holds no {what.__name__.lower()} ("
    with pytest.raises(InvalidInputError, match=re.escape(text)) as error:
        what.load(tmp_path / "other.npz")
    assert str(error.value).endswith(f"); a file written by {what.__name__}.save is needed.")
    for name in ("other.npy", "text.npz", "empty.npz", "cut.npz", "folder.npz"):
        with pytest.raises(InvalidInputError) as error:
            what.load(tmp_path / name)
        assert str(error.value) == (
            f"{tmp_path / name} is no .npz file; one written by {what.__name__}.save is needed."
        )
    with pytest.raises(FileNotFoundError):
        what.load(tmp_path / "nowhere.npz")


def test_what_is_no_clustering(tree: Hierarchy) -> None:
    with pytest.raises(InvalidInputError) as error:
        hierarchy(GRAPH, clustering=tree.labels(0))  # type: ignore[arg-type]
    assert str(error.value) == (
        "clustering is a ndarray; a Clustering is needed, as affinity_propagation returns it and "
        "Clustering.load reads it."
    )
    with pytest.raises(InvalidInputError, match="n_levels=0; it must be at least 1, a whole number, or None"):
        AffinityPropagation(n_levels=0).fit(np.zeros((4, 1)))


@pytest.mark.parametrize("begun", [False, True])
def test_links_of_other_points(tree: Hierarchy, begun: bool) -> None:
    first = tree.clusterings[0] if begun else None
    with pytest.raises(InvalidInputError) as error:
        hierarchy(GRAPH, clustering=first, links=scipy.sparse.eye_array(3, format="csr"))
    assert str(error.value) == (
        "links are between 3 points, and the graph has 2000. Give weights of links between the same points, "
        "or leave them out."
    )


def test_parts_stay_apart_in_an_exact_cut() -> None:
    graph = scipy.sparse.block_diag([knn_similarity(200, 8, 2, seed=6)] * 3, "csr")
    with pytest.raises(InvalidInputError, match=r"n_clusters=1, but the .* that no edge links stay apart"):
        hierarchy(graph).cut_exactly(1)
    with pytest.raises(InvalidInputError, match=r"n_clusters=2, but the .* groups of points, the next finer"):
        hierarchy(graph).cut_exactly(2, nested=False)
    assert hierarchy(graph).cut_exactly(3, nested=False).sizes.tolist() == [200] * 3


def test_other_points() -> None:
    first = affinity_propagation(GRAPH, max_iter=20)
    text = (
        "clustering is of 2000 points, and the graph has 1999. Give the clustering of this graph, or leave "
        "it out."
    )
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        hierarchy(GRAPH[:1999, :1999], clustering=first)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"level_preference": 0},
            "level_preference=0; it must be a number above 0: a multiple of the median.",
        ),
        ({"level_preference": np.nan}, "level_preference=nan; it must be a number above 0: a multiple of"),
        ({"max_levels": 0}, "max_levels=0; it must be at least 1, a whole number, or None."),
    ],
)
def test_options_out_of_range(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        hierarchy(GRAPH, **options)


@pytest.mark.parametrize("ask", [Hierarchy.labels, Hierarchy.exemplars, Hierarchy.sizes, Hierarchy.parents])
def test_levels_that_are_not_there(tree: Hierarchy, ask: Any) -> None:
    n = tree.n_levels
    for level in (n, -n - 1, 1.0, "1", None):
        text = f"level={level!r}, but there are {n} levels: 0, the finest, to {n - 1}."
        with pytest.raises(InvalidInputError, match=re.escape(text)):
            ask(tree, level)
    assert (ask(tree, np.int8(0)) == ask(tree, 0)).all()


def test_the_coarsest_level_has_no_parents(tree: Hierarchy) -> None:
    text = f"Level {tree.n_levels - 1} is the coarsest; it has no parents."
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        tree.parents(-1)


def test_a_cut_knows_its_sizes() -> None:
    cut = Cut(np.array([0, 1, 1, 0, 1]), np.array([0, 2]))
    assert (cut.n_clusters, cut.sizes.tolist()) == (2, [2, 3])


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def graph_file(tmp_path: Path) -> Path:
    scipy.sparse.save_npz(tmp_path / "graph.npz", scipy.sparse.csr_matrix(GRAPH))
    return tmp_path / "graph.npz"


def test_the_command_writes_and_tells(tree: Hierarchy, graph_file: Path, tmp_path: Path) -> None:
    done = run("tree", graph_file, "-o", tmp_path / "tree.npz")
    assert done.exit_code == 0, done.output
    assert tree_bits(Hierarchy.load(tmp_path / "tree.npz")) == tree_bits(tree)
    heading, *lines, last = done.output.splitlines()
    assert heading.split()[:2] == ["level", "clusters"]
    assert [line.split()[0] for line in lines] == [str(level) for level in range(tree.n_levels)]
    assert [int(line.split()[1]) for line in lines] == tree.n_clusters.tolist()
    largest = tree.exemplars(0)[np.argsort(-tree.sizes(0), kind="stable")[:3]]
    assert lines[0].endswith(", ".join(map(str, largest)))
    assert last == f"written to {tmp_path / 'tree.npz'}"


def test_the_command_with_options(graph_file: Path, tmp_path: Path) -> None:
    options = ["--preference=-0.05", "--level-preference", 3, "--max-levels", 2, "--n-jobs", 1, "--quiet"]
    done = run("tree", graph_file, "-o", tmp_path / "tree.npz", *options)
    assert (done.exit_code, done.output) == (0, "")
    first = affinity_propagation(GRAPH, preference=-0.05)
    expected = hierarchy(GRAPH, clustering=first, level_preference=3, max_levels=2)
    assert tree_bits(Hierarchy.load(tmp_path / "tree.npz")) == tree_bits(expected)


@pytest.mark.parametrize("nested", [True, False])
def test_the_command_cuts_exactly(tree: Hierarchy, graph_file: Path, tmp_path: Path, nested: bool) -> None:
    output, free = tmp_path / "tree.csv", [] if nested else ["--not-nested"]
    done = run("tree", graph_file, "-o", output, "--n-clusters", 30, "--n-clusters", 5, *free)
    assert done.exit_code == 0, done.output
    assert [line.split()[:2] for line in done.output.splitlines()[-3:-1]] == [["exact", "30"], ["exact", "5"]]
    with output.open() as file:
        table = list(csv.DictReader(file))
    for number in (5, 30):
        cut = tree.cut_exactly(number, nested=nested)
        assert [int(row[f"clusters_{number}"]) for row in table] == cut.exemplars[cut.labels].tolist()


def test_a_number_that_cannot_be_loses_nothing_else(graph_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "tree.csv"
    done = run("tree", graph_file, "-o", output, "--n-clusters", 1999, "--n-clusters", 5)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: --n-clusters 1999, but the finest level has ")
    assert done.stderr.endswith("or cluster the graph itself: sparse-ap cluster --n-clusters.\n")
    assert {"level_0", "clusters_5"} <= set(output.read_text().splitlines()[0].split(","))
    refused = run("tree", graph_file, "--n-clusters", 0)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "Error: --n-clusters 0; it must be at least 1, a whole number.\n"
    refused = run("tree", graph_file, "--not-nested")
    assert refused.stderr == "Error: --not-nested says how to cut: give --n-clusters too, or leave it out.\n"


def test_the_command_without_an_output(graph_file: Path) -> None:
    done = run("tree", graph_file)
    assert done.output.splitlines()[-1] == "not written: give --output to keep the tree"


def test_the_command_says_which_pages_it_has_written(graph_file: Path, tmp_path: Path) -> None:
    report, page = tmp_path / "report.html", tmp_path / "tree.html"
    done = run("tree", graph_file, "--report", report, "--explore", page)
    assert done.output.splitlines()[-2:] == [f"report     {report}", f"explorer   {page}"]


def test_the_command_refuses_an_output_before_the_work(graph_file: Path, tmp_path: Path) -> None:
    done = run("tree", graph_file, "-o", tmp_path / "tree.txt")
    assert done.exit_code == 2
    assert "tree.txt ends in '.txt'; one of .parquet, .csv, .npz, .zarr is needed." in done.output
    done = run("tree", graph_file, "--obs", "exemplar")
    assert "--obs names a column, but not where: give --output, the AnnData store." in done.output


def test_the_estimator_builds_levels() -> None:
    points = np.random.default_rng(0).normal(size=(400, 3))
    model = AffinityPropagation(n_levels=None).fit(points)
    assert model.hierarchy_.clusterings[0] is model.clustering_
    assert tree_bits(model.hierarchy_) == tree_bits(hierarchy(model.affinity_matrix_))
    assert AffinityPropagation(n_levels=2).fit(points).hierarchy_.n_levels == 2
    assert not hasattr(AffinityPropagation().fit(points), "hierarchy_")


def test_a_dense_matrix_has_levels_too() -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    model = AffinityPropagation(affinity="euclidean", n_levels=None).fit(points)
    require_nested(model.hierarchy_)
    assert model.hierarchy_.n_clusters[-1] == 1


def test_a_number_that_edges_forbid_is_had_by_the_tree(
    tree: Hierarchy, graph_file: Path, tmp_path: Path
) -> None:
    cut, weights = tree.cut_exactly(5), np.arange(1.0, 2001)
    done = run("cluster", graph_file, "--n-clusters", 5, "-o", tmp_path / "found.npz")
    assert done.exit_code == 0
    assert "\nfound by        the tree: " in done.stdout
    assert "net similarity" not in done.stdout
    quiet = run("cluster", graph_file, "--n-clusters", 5, "--quiet", "-o", tmp_path / "found.npz")
    assert "put together along a tree" in quiet.stderr
    found = Clustering.load(tmp_path / "found.npz")
    with pytest.warns(UserWarning, match="put together along a tree"):
        model = AffinityPropagation(n_clusters=5, affinity="precomputed").fit(GRAPH)
    for clustering in (found, model.clustering_):
        np.testing.assert_array_equal(clustering.labels, cut.labels)
        np.testing.assert_array_equal(clustering.exemplars, cut.exemplars)
        assert clustering.outcome is Outcome.GROUPED
        known = ~np.isnan(clustering.similarities)
        direct = tree.exemplars(0)[tree.labels(0)] == cut.exemplars[cut.labels]
        np.testing.assert_array_equal(known, direct)
        assert (clustering.similarities[cut.exemplars] == 0).all()
    assert tree_bits(model.hierarchy_) == tree_bits(tree)
    # Nearly no point has an entry for one of five exemplars.
    others = np.setdiff1d(np.arange(2000), tree.exemplars(0))
    np.testing.assert_array_equal(model.predict(GRAPH[others]), cut.labels[others])
    points = np.random.default_rng(0).uniform(size=(400, 2))
    with pytest.warns(UserWarning, match="put together along a tree"):
        of_points = AffinityPropagation(n_clusters=3, n_neighbors=10).fit(points)
    # Nearest to its own exemplar of level 0, a point may be nearer to those of other groups than to its own.
    np.testing.assert_array_equal(of_points.predict(points), of_points.labels_)
    with pytest.warns(UserWarning, match="put together along a tree"):
        model.fit(GRAPH, sample_weight=weights)
    found = model.clustering_
    np.testing.assert_array_equal(found.weighted_sizes, np.bincount(found.labels, weights))


@pytest.mark.parametrize(
    "options", [{"min_similarity": -9.0}, {"preference": np.where(np.arange(2000) == 7, np.inf, -1.0)}]
)
def test_groups_break_no_promise(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"hierarchy\(\.\.\.\)\.cut_exactly\(5\)"):
        AffinityPropagation(n_clusters=5, affinity="precomputed", **options).fit(GRAPH)


def test_parts_are_more_than_a_tree_can_join() -> None:
    parts = scipy.sparse.block_diag([GRAPH[:50, :50]] * 30, format="csr")
    text = "^n_clusters=9, but the graph has .* parts that no edge links, and each needs a cluster of its own"
    with pytest.raises(InvalidInputError, match=text):
        affinity_propagation(parts, n_clusters=9)
