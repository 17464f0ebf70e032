"""Natural groups: moves, contractions, nesting and merges against loops and dense matrices."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparse_ap.clustering.cluster_graph import LinkedGraph
from sparse_ap.clustering.natural import link_graph
from sparse_ap.clustering.natural.faces import elected
from sparse_ap.clustering.natural.groups import Grouping, merged_upward, moved
from sparse_ap.clustering.natural.levels import levels_above, mostly, nested
from sparse_ap.clustering.natural.link_graph import LinkGraph, Workshop, compact_labels, of_nodes
from sparse_ap.clustering.natural.merging import merged_to
from sparse_ap.clustering.natural.spilled import counted_once
from sparse_ap.execution.blocking import BlockedGraph, cut_rows
from sparse_ap.execution.local import SerialExecutor
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.block import RowCut
from sparse_ap.kernels.coarsening import CoarseningPass, weights
from sparse_ap.kernels.grouping import ContractionPass, GroupVectors, MovePass, MoveRows
from sparse_ap.storage.memory import MemoryStore

Links = NDArray[np.int64]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(SerialExecutor(), Resources(), tmp_path_factory.mktemp("links"))


def directed(n: int, seed: int, density: float = 0.3) -> Links:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, (n, n)) * (rng.random((n, n)) < density)
    np.fill_diagonal(counts, 0)
    return np.asarray(counts)


def linked(counts: Links, given: bool = True) -> LinkedGraph:
    store = MemoryStore.from_sparse(scipy.sparse.csr_array(counts.astype(np.float32)))
    graph = BlockedGraph(store, cut_rows(store.indptr, 3), SerialExecutor())
    return LinkedGraph(graph, None, lambda n: 100, weights if given else None)


def of(workshop: Workshop, counts: Links) -> LinkGraph:
    return workshop.of_points(linked(counts), np.arange(len(counts)))


def dense(graph: LinkGraph) -> NDArray[np.float64]:
    return np.asarray(graph.matrix().toarray())


def row_by_row(graph: BlockedGraph) -> BlockedGraph:
    return replace(graph, cuts=[RowCut(i, i + 1) for i in range(graph.n_points)])


def spilled(graph: BlockedGraph, begin: Any, label: Any, n_nodes: int) -> NDArray[np.float64]:
    """Return links counted with three pairs at a time in memory; no file is left over."""
    with tempfile.TemporaryDirectory() as folder:
        parts = list(counted_once(graph, begin, label.astype(np.int32), n_nodes, 3, Path(folder)))
        assert not any(Path(folder).iterdir())
    return np.concatenate([part.rows.toarray() for part in parts])


SIZES, SEEDS = st.integers(1, 25), st.integers(0, 2**32 - 1)


@given(SIZES, SEEDS)
def test_each_pair_counts_once_or_by_its_weights(n: int, seed: int) -> None:
    workshop = Workshop(SerialExecutor(), Resources(), Path())
    counts = directed(n, seed)
    np.testing.assert_array_equal(dense(of(workshop, counts)), counts + counts.T)
    number = np.random.default_rng(seed).permutation(n)
    expected = np.empty((n, n))
    expected[np.ix_(number, number)] = (counts + counts.T) > 0
    once = workshop.of_points(linked(counts, given=False), number)
    np.testing.assert_array_equal(dense(once), expected)
    np.testing.assert_array_equal(once.volume, dense(once).sum(axis=1))
    # The same where it does not fit; and with points that were renumbered.
    graph = row_by_row(linked(counts).graph)
    np.testing.assert_array_equal(spilled(graph, CoarseningPass, number, n) > 0, expected)
    order = np.random.default_rng(seed + 1).permutation(n).astype(np.int32)
    moved_rows = replace(linked(counts[np.ix_(order, order)], given=False), user_id=order)
    np.testing.assert_array_equal(dense(workshop.of_points(moved_rows, number)), expected)


@given(SIZES, SEEDS)
def test_contractions_against_a_dense_product(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = of(Workshop(SerialExecutor(), Resources(), Path()), directed(n, seed))
    first, second = rng.integers(0, 4, n), rng.integers(0, 3, n)
    joined = graph.contract(first, second)
    key, n_nodes = compact_labels(first, second)
    np.testing.assert_array_equal(joined.key, np.unique(3 * first + second, return_inverse=True)[1])
    indicator = np.eye(n_nodes)[key]
    np.testing.assert_array_equal(dense(joined.graph), indicator.T @ dense(graph) @ indicator)
    np.testing.assert_array_equal(joined.graph.volume, dense(joined.graph).sum(axis=1))
    # A contraction of a contraction, whose diagonal is not empty.
    again = joined.graph.contract(np.arange(n_nodes) // 2)
    twice = np.eye((n_nodes + 1) // 2)[np.arange(n_nodes) // 2]
    np.testing.assert_array_equal(dense(again.graph), twice.T @ dense(joined.graph) @ twice)
    # The same where it does not fit.
    found = spilled(row_by_row(graph.graph), ContractionPass, key, n_nodes)
    np.testing.assert_array_equal(found, dense(joined.graph))


def test_hubs_numbered_together_are_cut_apart(tmp_path: Path) -> None:
    n, most = 60, 40
    counts = np.zeros((n, n), np.int64)
    counts[:, :6] = 1
    np.fill_diagonal(counts, 0)
    graph = row_by_row(linked(counts).graph)
    parts = list(counted_once(graph, CoarseningPass, np.arange(n, dtype=np.int32), n, most, tmp_path))
    np.testing.assert_array_equal(np.concatenate([part.rows.toarray() for part in parts]), counts + counts.T)
    # Of 2 * most pairs, both ends of which may lie in the range.
    assert max(part.rows.nnz for part in parts) <= 4 * most
    assert not any(tmp_path.iterdir())


def quality(matrix: NDArray[np.float64], label: Any, resolution: float) -> float:
    volume, total = matrix.sum(axis=1), matrix.sum()
    same = label[:, None] == label
    return float((same * (matrix - resolution * np.outer(volume, volume) / total)).sum() / total)


@given(SIZES, SEEDS, st.sampled_from([0.25, 1.0, 4.0]))
def test_moves_against_a_loop(n: int, seed: int, resolution: float) -> None:
    rng = np.random.default_rng(seed)
    graph = of(Workshop(SerialExecutor(), Resources(), Path()), directed(n, seed))
    links, part = dense(graph), rng.integers(0, 2, n)
    label = compact_labels(rng.integers(0, n, n), part)[0]
    turn, rate = rng.random(n) < 0.5, resolution / max(1.0, graph.volume.sum())
    total = np.bincount(label, weights=graph.volume, minlength=n)
    rows = MoveRows(graph.volume, turn, label.astype(np.int32))
    vectors = GroupVectors(label.astype(np.int32), of_nodes(label, part).astype(np.int32), total)
    n_moved = graph.graph.run(MovePass(rate), vectors, rows)[1]
    assert n_moved == np.count_nonzero(rows.moved != label)
    for i in range(n):
        others = [j for j in range(n) if j != i and links[i, j] and part[j] == part[i]]
        gains = {label[i]: -rate * graph.volume[i] * (total[label[i]] - graph.volume[i])}
        for j in others:
            gains.setdefault(label[j], -rate * graph.volume[i] * total[label[j]])
        for j in others:
            gains[label[j]] += links[i, j]
        assert turn[i] or rows.moved[i] == label[i]
        if turn[i]:
            assert gains[rows.moved[i]] == pytest.approx(max(gains.values()), abs=1e-9)


@given(SIZES, SEEDS, st.sampled_from([0.5, 1.0, 3.0]))
def test_groups_stay_in_their_parts(n: int, seed: int, resolution: float) -> None:
    rng = np.random.default_rng(seed)
    graph = of(Workshop(SerialExecutor(), Resources(), Path()), directed(n, seed))
    first, part = rng.integers(0, max(1, n // 2), n), rng.integers(0, 2, n)
    first = compact_labels(first)[0]
    links = dense(graph)
    found = Grouping.of(graph, [first]).at(resolution, part)
    assert len(set(zip(found, part, strict=True))) == found.max() + 1
    if links.sum():
        joined = graph.contract(found).graph
        assert joined.quality(resolution) == pytest.approx(quality(links, found, resolution))


def blocks(n_groups: int, size: int, seed: int, outside: float) -> tuple[Links, Links]:
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(n_groups), size)
    likely = np.where(kind[:, None] == kind, 0.4, outside)
    counts = (rng.random(likely.shape) < likely).astype(np.int64)
    np.fill_diagonal(counts, 0)
    return counts, kind


def same_partition(a: Any, b: Any) -> bool:
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


@pytest.mark.parametrize("seed", range(3))
def test_planted_groups_are_found_from_bad_clusters(workshop: Workshop, seed: int) -> None:
    """A tenth of the points begin in clusters of another group, which they can only leave by themselves."""
    counts, kind = blocks(6, 50, seed, 0.02)
    rng = np.random.default_rng(seed)
    begun = np.where(rng.random(300) < 0.1, rng.integers(0, 6, 300), kind) * 10 + rng.integers(0, 10, 300)
    found = Grouping.of(of(workshop, counts), [compact_labels(begun)[0]]).at(1.0)
    assert same_partition(found, kind)
    assert quality(counts + counts.T, found, 1.0) > quality(counts + counts.T, begun, 1.0)
    whole = Grouping.of(of(workshop, counts), [compact_labels(begun)[0]]).at(1.0, nodes_move=False)
    assert not same_partition(whole, kind)


def test_nothing_merges_without_links(workshop: Workshop) -> None:
    counts = np.zeros((5, 5), np.int64)
    counts[0, 1] = counts[3, 2] = 1
    graph = of(workshop, counts)
    label = merged_upward(graph.contract(np.arange(5)), np.zeros(5, np.int64), 1 / 8).key
    assert label.tolist() == [0, 0, 1, 1, 2]
    assert same_partition(moved(graph, np.arange(5), np.zeros(5, np.int64), 1 / 8), label)


@given(SIZES, SEEDS)
def test_clusters_go_where_most_of_them_are(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cluster, group = compact_labels(rng.integers(0, 5, n))[0], rng.integers(0, 4, n)
    counts = np.zeros((cluster.max() + 1, 4), np.int64)
    np.add.at(counts, (cluster, group), 1)
    np.testing.assert_array_equal(mostly(cluster, group), counts.argmax(axis=1))


@given(SIZES, SEEDS)
def test_cut_clusters_are_nested(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = of(Workshop(SerialExecutor(), Resources(), Path()), directed(n, seed))
    label, coarse = compact_labels(rng.integers(0, 5, n))[0], compact_labels(rng.integers(0, 3, n))[0]
    sizes, links = rng.integers(1, 9, n).astype(float), dense(graph)
    found = nested(graph, label, coarse, sizes)
    stays = np.zeros(n, bool)
    for cluster in range(label.max() + 1):
        by_group = np.bincount(coarse, weights=sizes * (label == cluster))
        stays |= (label == cluster) & (coarse == by_group.argmax())
    for i in range(n):
        assert (coarse[found == found[i]] == coarse[i]).all()
        towards = [links[i] @ (stays & (coarse == coarse[i]) & (label == c)) for c in range(label.max() + 1)]
        with_it = set(label[stays & (found == found[i])])
        if stays[i]:
            assert with_it == {label[i]}
        elif max(towards) > 0:
            assert max(towards) == towards[with_it.pop()]
        else:
            assert not with_it


@given(SIZES, SEEDS)
def test_levels_fall_and_nest(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = of(Workshop(SerialExecutor(), Resources(), Path()), directed(n, seed, 0.15))
    first = compact_labels(rng.integers(0, n, n))[0]
    second = compact_labels(rng.integers(0, 5, first.max() + 1))[0]
    before = np.arange(first.max() + 1)
    found = levels_above(graph, graph.contract(first), second)
    for level in found.levels:
        assert level.n_groups < before.max() + 1
        assert len(set(zip(before, level.label, strict=True))) == before.max() + 1
        before = level.label
    before = np.arange(n)
    for label, _ in found.free:
        assert len(set(zip(before, label, strict=True))) == before.max() + 1
        before = label


@given(SIZES, SEEDS, st.booleans())
def test_merges_against_a_loop(n: int, seed: int, parted: bool) -> None:
    """Any number can be had, coarser cuts are unions of finer ones, and no part is left."""
    rng = np.random.default_rng(seed)
    links = of(Workshop(SerialExecutor(), Resources(), Path()), directed(n, seed)).matrix()
    part = rng.integers(0, 3, n) if parted else None
    n_parts = len(set(part)) if part is not None else None
    finer = np.arange(n)
    for wanted in range(n, 0, -1):
        found = merged_to(links, part, wanted)
        assert len(set(zip(finer, found, strict=True))) == finer.max() + 1
        if part is not None:
            assert len(set(zip(found, part, strict=True))) == found.max() + 1
            assert found.max() + 1 == max(wanted, n_parts)
        finer = found
    if part is None:
        n_components = scipy.sparse.csgraph.connected_components(links)[0]
        assert finer.max() + 1 == n_components


def test_the_best_pair_is_merged_first() -> None:
    rng = np.random.default_rng(5)
    links = rng.integers(0, 9, (12, 12))
    links = links + links.T
    volume, total = links.sum(axis=1), links.sum()
    score = (links - np.outer(volume, volume) / total) / np.sqrt(np.outer(volume, volume))
    np.fill_diagonal(score, -np.inf)
    found = merged_to(scipy.sparse.csr_array(links.astype(float)), None, 11)
    assert set(np.flatnonzero(found == np.bincount(found).argmax())) == set(
        np.unravel_index(score.argmax(), score.shape)
    )


def test_where_every_merge_loses_the_least_loss_comes_first() -> None:
    """Two large groups with links between them, and a small one that hardly any link joins to either."""
    links = np.array([[1000.0, 200, 1], [200, 900, 0], [1, 0, 40]])
    volume = links.sum(axis=0)
    loss = np.outer(volume, volume) / links.sum() - links
    assert (loss[~np.eye(3, dtype=bool)] > 0).all()
    assert loss[0, 2] < loss[0, 1]
    assert merged_to(scipy.sparse.csr_array(links), None, 2).tolist() == [0, 1, 0]


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_graph, "rows_fit", lambda limit: (0, 500))


@pytest.mark.usefixtures("no_room")
def test_graphs_that_do_not_fit_are_on_disk_for_as_long_as_needed(tmp_path: Path) -> None:
    counts, _ = blocks(4, 30, 0, 0.05)
    workshop = Workshop(SerialExecutor(), Resources(), tmp_path)
    graph = of(workshop, counts)
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    np.testing.assert_array_equal(dense(graph), counts + counts.T)
    joined = graph.contract(np.arange(120) // 7)
    assert len(list(tmp_path.iterdir())) == 2
    indicator = np.eye(18)[np.arange(120) // 7]
    np.testing.assert_array_equal(dense(joined.graph), indicator.T @ (counts + counts.T) @ indicator)
    del joined
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


@given(st.integers(1, 6), st.integers(1, 3), SEEDS)
def test_the_exemplars_elected_are_the_best_that_nest(n: int, n_levels: int, seed: int) -> None:
    """Of all nested choices none has a larger sum of scores."""
    rng = np.random.default_rng(seed)
    groups, scores = [np.arange(n)], []
    for _ in range(n_levels):
        groups.append(compact_labels(rng.integers(0, 3, n)[groups[-1]])[0])
        # Whole numbers: sums are exact, and there are ties.
        scores.append(rng.integers(0, 5, n).astype(float))
    totals = {tuple(range(n)): 0.0}
    for group, score in zip(groups[1:], scores, strict=True):
        reached: dict[tuple[int, ...], float] = {}
        for chosen, total in totals.items():
            members = [[c for c in chosen if group[c] == g] for g in range(group.max() + 1)]
            for choice in itertools.product(*members):
                key = tuple(sorted(choice))
                reached[key] = max(reached.get(key, -1.0), total + sum(score[c] for c in choice))
        totals = reached
    best = max(totals.values())
    found = elected(groups[1:], scores)
    assert sum(score[chosen].sum() for score, chosen in zip(scores, found, strict=True)) == best
    for finer, coarser, group in zip([np.arange(n), *found], found, groups[1:], strict=False):
        assert set(coarser) <= set(finer)
        assert sorted(group[coarser]) == list(range(group.max() + 1))
