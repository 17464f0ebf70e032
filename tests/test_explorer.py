"""The explorer's page: what it holds, what it tells, what is refused."""

from __future__ import annotations

import base64
import functools
import json
import re
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from samples import knn_similarity

from sparse_ap import Hierarchy, InvalidInputError, hierarchy, write_explorer
from sparse_ap.cli.commands import main
from sparse_ap.plotting.explorer import page as page_module
from sparse_ap.plotting.explorer.facts import cluster_facts, frequent_values, means
from sparse_ap.plotting.explorer.held import HeldClusters, held_points

N = 400
POINTS = np.random.default_rng(2).random((N, 2))
GRAPH = knn_similarity(N, 10, 2, seed=2)
EVIL = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'> & \"$title\""


@functools.cache
def tree() -> Hierarchy:
    return hierarchy(GRAPH)


def read(path: Path) -> SimpleNamespace:
    """Unpack what data.js unpacks, by other means."""
    found = re.search(r'<script id="data"[^>]*>([A-Za-z0-9+/=]*)</script>', path.read_text(encoding="utf-8"))
    assert found
    whole = zlib.decompress(base64.b64decode(found[1]))
    length = int.from_bytes(whole[:4], "little")
    head = json.loads(whole[4 : 4 + length])
    parts: dict[str, Any] = {}
    for name, (kind, at, size) in head["parts"].items():
        content = whole[4 + length + at : 4 + length + at + size]
        assert (length + at) % 8 == 4  # aligned in the whole
        if kind == "bytes":
            parts[name] = content
        elif kind == "ascending":
            parts[name] = np.cumsum(np.frombuffer(content, "<u4"))
        else:
            parts[name] = np.frombuffer(content, f"<{kind}")
    return SimpleNamespace(head=head, **parts)


def page_of(folder: Path, **options: Any) -> SimpleNamespace:
    write_explorer(tree(), folder / "tree.html", **options)
    assert [entry.name for entry in folder.iterdir() if "tree.html" in entry.name] == ["tree.html"]
    return read(folder / "tree.html")


@pytest.mark.parametrize("most", [0, 5, 40, 60, 10_000])
def test_coarse_levels_are_held_whole_and_of_the_next_the_largest(most: int) -> None:
    held = HeldClusters.of(tree(), most)
    assert held.starts[-1] - 1 <= most
    nodes = {(-1, 0): 0}
    whole = True
    for row, (level, clusters, parents) in enumerate(
        zip(held.levels, held.clusters, held.parents, strict=True)
    ):
        assert whole  # nothing below a level of which a part is held
        whole = len(clusters) == tree().n_clusters[level]
        assert (np.diff(parents) >= 0).all()
        for node, (cluster, parent) in enumerate(zip(clusters, parents, strict=True), int(held.starts[row])):
            above = (level + 1, tree().parents(level)[cluster]) if row else (-1, 0)
            assert nodes[above] == parent
            nodes[level, cluster] = node
        sizes = tree().sizes(level)
        own = np.isin(tree().exemplars(level), tree().exemplars(level + 1)) if row else np.zeros(len(sizes))
        for parent in np.unique(parents):
            inside = [c for c in range(len(sizes)) if not row or tree().parents(level)[c] in
                      held.clusters[row - 1][[parent - held.starts[row - 1]]]]  # fmt: skip
            order = sorted(inside, key=lambda c: (not own[c], -sizes[c], c))
            assert clusters[parents == parent].tolist() == order[: np.count_nonzero(parents == parent)]
    for first in range(tree().n_clusters[0]):
        cluster, home = first, nodes.get((0, first), 0)
        for level in range(1, tree().n_levels):
            cluster = tree().parents(level - 1)[cluster]
            home = home or nodes.get((level, cluster), 0)
        assert held.homes[first] == home


def test_points_are_sampled_from_the_nearest_to_the_furthest() -> None:
    rng = np.random.default_rng(0)
    homes, similarities = rng.integers(1, 6, 200), -rng.random(200)
    homes[homes == 5] = 3
    exemplars = np.array([3, 50, 51])
    for most in (3, 10, 23, 90, 500):
        shown = held_points(homes, similarities, exemplars, most)
        assert set(exemplars) <= set(shown)
        assert len(set(shown)) == len(shown) <= most
        assert (np.diff(homes[shown]) >= 0).all()
        counts = []
        for home in range(1, 5):
            others = [i for i in np.flatnonzero(homes == home) if i not in exemplars]
            ordered = sorted(others, key=lambda i: -similarities[i])
            sample = [ordered.index(i) for i in shown if homes[i] == home and i not in exemplars]
            n, t = len(ordered), len(sample)
            counts.append((t, n))
            wanted = [n - 1] if t == 1 else [j * (n - 1) // (t - 1) for j in range(t)]
            assert sample == wanted
        quota = max(t for t, _ in counts)
        assert all(t == min(n, quota) for t, n in counts)
    assert len(held_points(homes, similarities, exemplars, 500)) == 200


def test_facts_are_those_of_the_tree() -> None:
    held = HeldClusters.of(tree(), 10_000)
    facts = cluster_facts(tree(), held)
    values = np.arange(N) % 7 * 1.5
    values[5] = np.nan
    codes = np.arange(N) % 3
    mean, (often, share) = means(tree(), held, values), frequent_values(tree(), held, codes)
    assert (facts["size"][0], facts["exemplar"][0], facts["parts"][0]) == (
        N,
        -1,
        tree().n_clusters[held.levels[0]],
    )
    node = 1
    for level, clusters in zip(held.levels, held.clusters, strict=True):
        labels, graph = tree().labels(level), tree().graphs[level].toarray()
        for cluster in clusters:
            members = np.flatnonzero(labels == cluster)
            assert facts["exemplar"][node] == tree().exemplars(level)[cluster]
            assert facts["size"][node] == len(members)
            assert mean[node] == pytest.approx(np.nanmean(values[members]), rel=1e-6)
            others = np.setdiff1d(members, tree().exemplars(0))
            similarities = tree().clusterings[0].similarities[others].astype(float)
            mean_of_others = similarities.mean() if len(others) else np.nan
            assert facts["similarity"][node] == pytest.approx(mean_of_others, rel=1e-5, nan_ok=True)
            below = set(tree().labels(level - 1)[members]) if level else ()
            assert facts["parts"][node] == len(below)
            counts = np.bincount(codes[members], minlength=3)
            order = sorted(np.flatnonzero(counts), key=lambda c: (-counts[c], c))
            assert often[node].tolist() == (order + [-1] * 3)[:3]
            assert share[node, 0] == round(100 * counts.max() / len(members))
            row = np.delete(graph[cluster], cluster)
            linked = (
                facts["near"][node][facts["near"][node] >= 0] - held.starts[list(held.levels).index(level)]
            )
            weights = [graph[cluster, clusters[k]] for k in linked]
            stored = row[row != 0]
            assert weights == sorted(stored, reverse=True)[:3]
            if level and len(stored):
                assert facts["share"][node, 0] == round(100 * stored.max() / stored.sum())
            np.testing.assert_allclose(facts["lives"][node], tree().persistence(level)[cluster], rtol=1e-6)
            node += 1


def test_a_page_holds_names_positions_columns_and_pictures_of_its_points(tmp_path: Path) -> None:
    names = np.array([f"point {i}" for i in range(N)], object)
    names[7], names[8], names[9] = EVIL, "a\0b\nc", "x" * 1000
    table = {"kind": np.array(["odd", "even"])[np.arange(N) % 2], "height": np.arange(N) / 2}
    pixels = np.arange(N * 6, dtype=np.float32).reshape(N, 2, 3)
    page = page_of(tmp_path, names=names, points=POINTS, table=table, images=pixels, title=EVIL)
    assert sorted(page.point) == list(range(N))
    shown = page.names.decode().split("\0")
    assert [shown[i] for i in range(N) if page.point[i] > 9] == [names[i] for i in page.point if i > 9]
    place = {int(point): i for i, point in enumerate(page.point)}
    assert shown[place[7]] == EVIL
    assert shown[place[8]] == "a\N{REPLACEMENT CHARACTER}b\nc"
    assert shown[place[9]] == "x" * 240 + "…"
    span = np.ptp(POINTS, axis=0).max()
    np.testing.assert_allclose(page.x * span / 65535, (POINTS - POINTS.min(axis=0))[page.point, 0], atol=1e-4)
    assert page.head["columns"][0] == {"name": "kind", "words": ["even", "odd"]}
    # Point 0 is odd here.
    assert (page.value0 == 1 - page.point % 2).all()
    np.testing.assert_allclose(page.value1, page.point / 2)
    assert page.head["images"] == {"height": 2, "width": 3, "colours": 1}
    assert sorted(page.picture) == list(range(N))
    assert page.pixels.min() == 0
    assert page.pixels.max() == 255
    text = (tmp_path / "tree.html").read_text(encoding="utf-8")
    assert EVIL not in text
    assert "<img" not in text
    assert text.count("</script>") == 2


def test_a_page_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_explorer(tree(), tmp_path / name, points=POINTS, table={"x": POINTS[:, 0]})
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_long_names_leave_room_for_fewer_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "_MOST_BYTES", 30_000)
    page = page_of(tmp_path, names=[f"{i} {'name' * 40}" for i in range(N)])
    assert 100 < len(set(page.point)) == len(page.point) <= 30_000 // len(f"100 {'name' * 40}")
    assert page.head["points"] == N
    assert page.head["clusters"] == tree().n_clusters.tolist()


def test_drawings_and_files_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG and more")
    drawing = "<svg xmlns='http://www.w3.org/2000/svg'><circle r='9'/></svg>"
    asked: list[int] = []

    class Drawings:
        def __len__(self) -> int:
            return N

        def __getitem__(self, point: int) -> Any:
            asked.append(point)
            return (None, "", drawing, tmp_path / "a.png")[point % 4]

    page = page_of(tmp_path, images=Drawings())
    assert (page.point[page.picture] % 4 >= 2).all()
    assert len(page.picture) == N // 2
    ends = np.cumsum(page.length)
    for i, place in enumerate(page.picture):
        content = page.files[ends[i] - page.length[i] : ends[i]]
        svg = page.point[place] % 4 == 2
        assert content == (drawing.encode() if svg else b"\x89PNG and more")
        assert page.head["images"]["kinds"][page.kind[i]] == ("image/svg+xml" if svg else "image/png")
    monkeypatch.setattr(page_module, "_BYTES_OF_IMAGES", 500)
    asked.clear()
    page = page_of(tmp_path, images=Drawings())
    assert (
        sum(
            len(zlib.compress(page.files[e - n : e], 1))
            for n, e in zip(page.length, np.cumsum(page.length), strict=True)
        )
        <= 500
    )
    # The exemplars of the coarsest level come first; the others are not asked for.
    assert asked[0] in tree().exemplars(-1)
    assert len(asked) < 60


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"names": ["a", "b"]}, "one name a point is needed"),
        ({"points": POINTS[:, :1]}, "is needed to draw them"),
        ({"points": POINTS[:9]}, "those that were clustered are needed"),
        (
            {"table": {"x": np.arange(3)}},
            "The table's column 'x' has the shape (3,), and there are 400 points",
        ),
        ({"table": 7}, "The table is a int; a data frame is needed"),
        ({"images": np.zeros((N, 4))}, "numbers of shape (400, height, width) are needed"),
        ({"images": np.zeros((3, 4, 4))}, "numbers of shape (400, height, width) are needed"),
        ({"images": ["<svg/>"]}, "There are 1 images, and 400 points"),
        ({"images": ["nowhere.png"] * N}, "cannot be read"),
        ({"images": ["notes.txt"] * N}, "cannot be read"),
    ],
)
def test_what_does_not_fit_the_tree_is_refused(tmp_path: Path, options: Any, told: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(told)):
        write_explorer(tree(), tmp_path / "tree.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_other_things_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"a page is written to an \.html file"):
        write_explorer(tree(), tmp_path / "tree.png")
    with pytest.raises(InvalidInputError, match="does not exist; make it first"):
        write_explorer(tree(), tmp_path / "none" / "tree.html")
    with pytest.raises(InvalidInputError, match=r"what sparse_ap\.hierarchy returns is needed"):
        write_explorer(tree().level(0), tmp_path / "tree.html")  # type: ignore[arg-type]


def test_tables_of_other_libraries(tmp_path: Path) -> None:
    polars, arrow, pandas = map(pytest.importorskip, ("polars", "pyarrow", "pandas"))
    columns = {"x": POINTS[:, 0], "side": np.where(POINTS[:, 0] < 0.5, "left", "right")}
    structured = np.zeros(N, [("x", float), ("side", "U5")])
    structured["x"], structured["side"] = columns.values()
    tables = [columns, polars.DataFrame(columns), arrow.table(columns), pandas.DataFrame(columns), structured]
    pages = []
    for table in tables:
        write_explorer(tree(), tmp_path / "tree.html", table=table)
        pages.append((tmp_path / "tree.html").read_bytes())
    assert len(set(pages)) == 1


def test_drawings_in_a_column_are_taken_by_place(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    drawings = [f"<svg xmlns='http://www.w3.org/2000/svg'><text>{i}</text></svg>" for i in range(N)]
    page = page_of(tmp_path, images=pandas.Series(drawings, index=range(N)[::-1]))
    assert page.files.decode() == "".join(drawings[point] for point in page.point[page.picture])


def test_small_trees_have_pages(tmp_path: Path) -> None:
    one = hierarchy(knn_similarity(12, 3, 2, seed=0), max_levels=1)
    write_explorer(one, tmp_path / "tree.html", points=np.zeros((12, 2)))
    assert sorted(read(tmp_path / "tree.html").point) == list(range(12))
    none = hierarchy(np.empty((0, 0)))
    write_explorer(none, tmp_path / "tree.html", points=np.empty((0, 2)), names=[], table={"x": []})
    assert read(tmp_path / "tree.html").head["points"] == 0


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", POINTS)
    (tmp_path / "names.txt").write_text("".join(f"p{i}\n" for i in range(N)))
    command = ("tree", tmp_path / "points.npy", "-k", 10, "--quiet", "--names", tmp_path / "names.txt")
    done = run(*command, "--explore", tmp_path / "tree.html", "--positions", tmp_path / "points.npy")
    assert done.exit_code == 0, done.output
    page = read(tmp_path / "tree.html")
    assert page.head["title"] == "Tree of points.npy"
    assert page.names.decode().split("\0") == [f"p{i}" for i in page.point]
    assert len(page.x) == N


def test_the_command_refuses_before_the_work(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", np.column_stack([POINTS, POINTS]))
    (tmp_path / "named.csv").write_text(
        "name,x,y\n" + "".join(f"q{i},{x},{y}\n" for i, (x, y) in enumerate(POINTS))
    )
    command = ("tree", tmp_path / "points.npy", "-k", 10, "--quiet")
    page = ("--explore", tmp_path / "tree.html")
    for options, told in [
        (("--explore", tmp_path / "points.npy"), "a page is written to an .html file"),
        (("--positions", tmp_path / "points.npy"), "give that file too"),
        ((*page, "--report", tmp_path / "tree.html"), "two files are needed"),
        ((*page, "--positions", tmp_path / "points.npy"), "has 4 columns of numbers; two are needed"),
        ((*page, "--positions", tmp_path / "named.csv"), "names in --positions are not those of the points"),
    ]:
        done = run(*command, *options)
        assert done.exit_code == 2 or done.exit_code == 1
        assert told in " ".join(done.output.split())
        assert not (tmp_path / "tree.html").exists()
