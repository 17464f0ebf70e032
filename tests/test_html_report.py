"""The page about a clustering: what is on it, that it needs nothing else, and what is refused."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from click.testing import CliRunner
from samples import knn_similarity

import sparse_ap
from sparse_ap import (
    Clustering,
    InvalidInputError,
    MissingDependencyError,
    Outcome,
    affinity_propagation,
    hierarchy,
    write_report,
)
from sparse_ap.cli.commands import main
from sparse_ap.cli.options import NUMBER
from sparse_ap.graphs import write_graph
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.plotting import html_report, tree_report
from sparse_ap.plotting.advice import next_steps
from sparse_ap.plotting.html_parts import Names, evenly, minus
from sparse_ap.plotting.largest import largest_clusters
from sparse_ap.plotting.tree import lifetime, readable_level

GRAPH = knn_similarity(400, 10, 2, seed=2)
VOID = {"meta", "source", "img", "link", "br", "hr", "input"}


@functools.cache
def clustered() -> Clustering:
    return affinity_propagation(GRAPH, preference=-0.05, certify=True)


class Page(HTMLParser):
    """A page taken apart; every element must be closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def of(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]

    def rows(self) -> list[list[str]]:
        """Return the table of clusters."""
        first = self.texts.index(("h2", "The clusters"))
        last = self.texts.index(("h2", "How it was found"))
        cells = [text for tag, text in self.texts[first:last] if tag == "td"]
        return [cells[i : i + 5] for i in range(0, len(cells), 5)]

    def figures(self) -> dict[str, str]:
        return dict(zip(self.of("dt"), self.of("dd"), strict=True))

    def run(self) -> dict[str, str]:
        """Return how the result was found."""
        cells = [(tag, text) for tag, text in self.texts if tag in ("th", "td", "h2")]
        cells = cells[cells.index(("h2", "How it was found")) + 1 :]
        return {name: value for (_, name), (_, value) in zip(cells[::2], cells[1::2], strict=True)}


def page_of(clustering: Clustering, folder: Path, **options: Any) -> Page:
    write_report(clustering, folder / "run.html", **options)
    assert [entry.name for entry in folder.iterdir() if "run.html" in entry.name] == ["run.html"]
    return Page((folder / "run.html").read_text(encoding="utf-8"))


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_largest_clusters_are_described() -> None:
    dense = GRAPH.toarray()
    described = largest_clusters(clustered(), 10)
    sizes = np.bincount(clustered().labels)
    assert [row.size for row in described] == sorted(sizes.tolist(), reverse=True)[:10]
    for row in described:
        members = np.flatnonzero(clustered().exemplars[clustered().labels] == row.exemplar)
        assert len(members) == row.size
        similarities = {int(i): float(dense[i, row.exemplar]) for i in members if i != row.exemplar}
        assert row.mean_similarity == pytest.approx(np.mean(list(similarities.values())), rel=1e-6)
        assert row.least_similarity == min(similarities.values())
        assert similarities[row.least_similar] == row.least_similarity


def test_who_is_alone_has_no_least_similar_member() -> None:
    alone = affinity_propagation(scipy.sparse.csr_array((3, 3), dtype=np.float32), preference=-1.0)
    assert [(row.exemplar, row.size, row.least_similar) for row in largest_clusters(alone, 9)] == [
        (0, 1, None),
        (1, 1, None),
        (2, 1, None),
    ]


def test_numbers_of_a_column_have_the_same_decimals() -> None:
    assert evenly([-298.8, 1.0, None, -0.04]) == ["−298.8", "1.0", "–", "0.0"]
    assert evenly([12345.6, 3]) == ["12,346", "3"]
    assert evenly([0.00123, 0.0]) == ["0.001230", "0.000000"]
    assert evenly([1e-9, 2.0e-9]) == ["1.000e−09", "2.000e−09"]
    assert evenly([None, float("nan")]) == ["–", "nan"]


def number(told: str) -> float:
    return float(told.replace("−", "-"))


def test_preferences_that_are_advised_can_be_given() -> None:
    large = dataclasses.replace(clustered(), preference=-61728.3)
    (step,) = (step for step in next_steps(large) if step.startswith("Fewer clusters"))
    assert [float(told) for told in re.findall(r"such as (\S+?)[;.] ", step)] == [-123_000, -30_900]


def test_the_preference_shown_can_be_given() -> None:
    shown = html_report._run_figures(dataclasses.replace(clustered(), preference=-61728.3))["preference"]
    assert NUMBER(shown) == -61728.3


def test_figures_are_at_the_top(tmp_path: Path) -> None:
    page = page_of(
        clustered(),
        tmp_path,
        title="Four hundred",
        n_stored=GRAPH.nnz,
        recall=Recall(0.966, 0.004, 300),
        seconds=12.34,
    )
    assert page.of("title") == page.of("h1") == ["Four hundred"]
    sizes = clustered().sizes
    alone = np.count_nonzero(sizes == 1)
    assert page.figures() == {
        "points": "400",
        "clusters": f"{clustered().n_clusters}",
        "largest": f"{sizes.max()}",
        "median size": f"{np.median(sizes):g}",
        **({"single points": f"{alone}"} if alone else {}),
    }
    assert page.run() == {
        "stored entries": "4,000",
        "neighbours found": "0.966 ± 0.004, estimated on 300 points",
        "sweeps": f"{clustered().n_iter}",
        "seconds": "12.3",
        "preference": "−0.05",
        "net similarity": minus(f"{clustered().net_similarity:.8g}"),
        "proven bound": minus(f"{clustered().net_similarity_bound:.8g}"),
        "gap to the bound": f"{clustered().optimality_gap:.2%}",
        **({"best clustering": "yes, optimal within HiGHS's tolerance"} if clustered().optimal else {}),
    }
    assert page.of("p")[0] == "The exemplars have settled."
    assert page.of("p")[1].startswith(f"{clustered().n_clusters} exemplars stand for 400 points")
    assert page.of("footer") == [f"sparse_ap {sparse_ap.__version__}"]
    assert page.of("time")[0].endswith(str(datetime.date.today().year))
    assert f"{clustered().n_iter} sweeps." in page.of("figcaption")[1]


def test_what_is_not_known_is_not_shown(tmp_path: Path) -> None:
    bare = affinity_propagation(GRAPH, preference=np.linspace(-0.1, -0.05, 400))
    page = page_of(bare, tmp_path)
    assert list(page.run()) == ["net similarity", "sweeps"]
    assert "How far it is from the best possible clustering is not known." in page.of("p")
    assert any("certify=True" in step for step in page.of("li"))


def test_the_table_has_names_if_there_are_any(tmp_path: Path) -> None:
    ids = np.array([f"<i>{i}</i> & $co" for i in range(400)])
    named, numbered = page_of(clustered(), tmp_path, ids=ids), page_of(clustered(), tmp_path)
    described = largest_clusters(clustered(), 1000)
    assert len(numbered.rows()) == len(named.rows()) == clustered().n_clusters
    for row, by_name, by_number in zip(described, named.rows(), numbered.rows(), strict=True):
        assert by_number == [
            f"{row.exemplar}", f"{row.size}", by_number[2], f"{row.least_similar}", by_number[4]
        ]  # fmt: skip
        assert number(by_number[2]) == pytest.approx(row.mean_similarity, abs=5e-6)
        assert number(by_number[4]) == pytest.approx(row.least_similarity, abs=5e-6)
        assert (by_name[0], by_name[3]) == (ids[row.exemplar], ids[row.least_similar])
    # The same decimals all the way down.
    assert len({len(row[2].partition(".")[2]) for row in named.rows()}) == 1
    assert not [tag for tag, _ in named.elements if tag == "i"]


def test_titles_and_settings_are_escaped(tmp_path: Path) -> None:
    page = page_of(clustered(), tmp_path, title="<b> & $title", settings={"<u>": "<s>&", "--scheme": "auto"})
    assert page.of("h1") == ["<b> & $title"]
    assert page.of("th")[-2:] == ["<u>", "--scheme"]
    assert page.of("td")[-2:] == ["<s>&", "auto"]


def test_pictures_are_inside_in_light_and_dark(tmp_path: Path) -> None:
    page = page_of(clustered(), tmp_path)
    images = [attrs for tag, attrs in page.elements if tag == "img"]
    sources = [attrs for tag, attrs in page.elements if tag == "source"]
    assert [image["alt"] for image in images] == page.of("figcaption")
    grounds = []
    for address in (images[0]["src"], images[1]["src"], sources[0]["srcset"], sources[1]["srcset"]):
        kind, _, data = address.partition(",")
        assert kind == "data:image/svg+xml;base64"
        picture = base64.b64decode(data).decode()
        assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
        grounds.append(re.search(r'id="patch_1">.*?fill: (#\w+)', picture, re.DOTALL)[1])  # type: ignore[index]
    assert grounds == ["#ffffff", "#ffffff", "#14171b", "#14171b"]
    assert {source["media"] for source in sources} == {"screen and (prefers-color-scheme: dark)"}


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = page_of(clustered(), tmp_path)
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert not {tag for tag, _ in page.elements} & {"link", "iframe", "object"}
    assert [attrs for tag, attrs in page.elements if tag == "script"] == [{}]
    for _, attrs in page.elements:
        for address in ("src", "srcset", "href"):
            assert attrs.get(address, "data:").startswith("data:")
    assert "url(" not in text
    assert "@import" not in text


def test_the_same_clustering_is_the_same_page(tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        write_report(clustered(), tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_what_to_do_is_said_where_it_did_not_converge(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="did not converge"):
        unsettled = affinity_propagation(GRAPH, preference=-0.05, max_iter=3)
    page = page_of(unsettled, tmp_path)
    assert page.of("p")[0] == Outcome.MAX_ITER_REACHED.value
    assert ("p", {"class": "outcome notice"}) in page.elements


def test_nobody_is_a_page_too(tmp_path: Path) -> None:
    page = page_of(affinity_propagation(np.empty((0, 0))), tmp_path)
    assert page.of("figcaption")[0] == "There are no points."
    assert page.rows() == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.htm", "{} ends in '.htm'; a report is written to an .html file."),
        ("folder.html", "{} is a folder, and a file is to be written. Choose another name."),
        ("none/run.html", "The folder {0.parent} does not exist; make it first."),
    ],
)
def test_places_that_cannot_be_written_are_refused_before_the_work(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    path = tmp_path / name
    with pytest.raises(InvalidInputError) as caught:
        write_report(clustered(), path)
    assert str(caught.value) == text.format(path)
    (tmp_path / "graph.npz").write_bytes(b"not even looked at")
    result = run("cluster", tmp_path / "graph.npz", "--report", path)
    assert (result.exit_code, result.stderr) == (2, f"Error: {text.format(path)}\n")


def test_missing_matplotlib_is_told_before_the_work(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    needs = "needs matplotlib, which is not installed: pip install 'sparse-ap[plot]'"
    with pytest.raises(MissingDependencyError) as caught:
        write_report(clustered(), tmp_path / "run.html")
    assert str(caught.value) == f"write_report {needs}"
    (tmp_path / "graph.npz").write_bytes(b"not even looked at")
    result = run("cluster", tmp_path / "graph.npz", "--report", tmp_path / "run.html")
    assert (result.exit_code, result.stderr) == (2, f"Error: --report {needs}\n")


def test_ids_of_other_points_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        write_report(clustered(), tmp_path / "run.html", ids=["a", "b"])
    assert str(caught.value) == (
        "The ids have the shape (2,), and there are 400 points; one name a point is needed, in the same "
        "order."
    )
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_what_was_there(tmp_path: Path, monkeypatch: Any) -> None:
    def half(self: Path, text: str, encoding: str) -> None:
        self.write_bytes(text[:100].encode(encoding))
        raise OSError(28, "No space left on device")

    (tmp_path / "run.html").write_text("the one before")
    monkeypatch.setattr(html_report.Path, "write_text", half)
    with pytest.raises(OSError, match="No space left"):
        write_report(clustered(), tmp_path / "run.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.html"]
    assert (tmp_path / "run.html").read_text() == "the one before"


def test_the_command_writes_a_page(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "graph.npz", GRAPH)
    report = tmp_path / "run.html"
    result = run("cluster", tmp_path / "graph.npz", "--preference", -0.05, "--certify", "--report", report)
    assert result.exit_code == 0, result.output
    assert result.output.endswith(f"keep the labels\nreport          {report}\n")
    page = Page(report.read_text(encoding="utf-8"))
    assert page.of("h1") == ["Clusters of graph.npz"]
    assert page.run()["stored entries"] == "4,000"
    assert page.run()["net similarity"] == minus(f"{clustered().net_similarity:.8g}")
    settings = page.run()
    assert {name: settings[name] for name in ["graph", *(n for n in settings if n.startswith("--"))]} == {
        "graph": f"{tmp_path / 'graph.npz'}",
        "--preference": "-0.05",
        "--unrepresented": "error",
        "--max-iter": "200",
        "--scheme": "auto",
        "--refine": "auto",
        "--certify": "yes",
        "--seed": "0",
    }


def test_a_graph_on_disk_has_its_names_and_an_unsettled_run_its_page(tmp_path: Path) -> None:
    edges = GRAPH.tocoo()
    lines = [
        f"protein {i}\tprotein {k}\t{s}\n" for i, k, s in zip(edges.row, edges.col, edges.data, strict=True)
    ]
    (tmp_path / "edges.tsv").write_text("".join(lines))
    write_graph(tmp_path / "edges.tsv", tmp_path / "graph.zarr")
    result = run(
        "cluster", tmp_path / "graph.zarr", "--max-iter", 3, "--quiet", "--report", tmp_path / "run.html"
    )
    assert (result.exit_code, result.stdout) == (3, "")
    page = Page((tmp_path / "run.html").read_text(encoding="utf-8"))
    assert page.run()["stored entries"] == "4,000"
    assert re.fullmatch(r"protein \d+", page.rows()[0][0])
    assert page.of("p")[0] == Outcome.MAX_ITER_REACHED.value


def test_the_picture_of_a_tree_takes_the_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(tree_report, "picture", lambda plot, *_: given.append(plot.keywords["names"]))
    names = np.arange(400).astype(str)
    tree_report.tree_body(hierarchy(GRAPH), Names(names, 400))
    assert given == [names]


def test_a_tree_has_levels_groups_and_who_represents_them(tmp_path: Path) -> None:
    tree = hierarchy(GRAPH)
    names = np.array([f"<{number}>" for number in range(400)])
    write_report(tree, tmp_path / "run.html", ids=names)
    page = Page((tmp_path / "run.html").read_text(encoding="utf-8"))
    level = readable_level(tree)
    assert page.figures()["levels"] == f"{tree.n_levels}"
    assert page.of("h2")[:3] == ["What to do next", "The levels", "The tree"]
    assert any("write_explorer" in step for step in page.of("li"))
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    largest = int(tree.sizes(level).argmax())
    faces = [f"&lt;{point}&gt;" for point in tree.representatives(level)[largest] if point >= 0]
    assert f"<td>{faces[0]}</td>" in text
    assert ", ".join(faces[1:]) in text
    assert f"{tree.inner_share[level]:.1%}" in text
    assert lifetime(tree.lives[level]) in text
    write_report(tree.cut(5), tmp_path / "cut.html")
    assert Page((tmp_path / "cut.html").read_text(encoding="utf-8")).figures() == {
        "points": "400",
        "clusters": f"{tree.cut(5).n_clusters}",
        "largest": f"{tree.cut(5).sizes.max()}",
        "median size": f"{np.median(tree.cut(5).sizes):g}",
    }


def test_no_report_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^A report of a list was asked for; a Clustering, Hierarchy"
    ):
        write_report([0, 1], tmp_path / "run.html")  # type: ignore[arg-type]


def test_the_command_draws_and_reports_a_tree(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "graph.npz", GRAPH)
    (tmp_path / "names.txt").write_text("\n".join(f"n{number}" for number in range(400)))
    plot, report = tmp_path / "tree.png", tmp_path / "tree.html"
    given = ("tree", tmp_path / "graph.npz", "--names", tmp_path / "names.txt")
    done = run(*given, "--plot", plot, "--report", report, "--n-clusters", 3, "--n-clusters", 9)
    assert done.exit_code == 0, done.stderr
    assert "lives at γ" in done.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    tree = hierarchy(GRAPH)
    text = report.read_text(encoding="utf-8")
    assert f"<td>n{tree.exemplars(-1)[0]}</td>" in text
    page = Page(text)
    assert page.run()["stored entries"] == f"{GRAPH.nnz:,}"
    assert float(page.run()["seconds"]) >= 0
    settings = dict(zip(page.of("th")[-5:], page.of("td")[-5:], strict=True))
    assert settings["--n-clusters"] == "3, 9"
    assert settings["--seed"] == "0"
    refused = run(*given, "--plot", tmp_path / "tree.doc")
    assert refused.exit_code == 2
    assert "ends in '.doc'; one of" in refused.stderr


def test_clusters_too_small_for_groups_are_told(tmp_path: Path) -> None:
    fine = affinity_propagation(GRAPH, preference=-0.0001)
    assert fine.mostly_tiny
    assert not affinity_propagation(GRAPH, preference=-1.0).mostly_tiny
    assert any("too small for groups: sparse_ap.hierarchy" in s for s in page_of(fine, tmp_path).of("li"))
    scipy.sparse.save_npz(tmp_path / "graph.npz", GRAPH)
    done = run("cluster", tmp_path / "graph.npz", "--preference", -0.0001)
    assert "too small for groups; sparse-ap tree has groups of every size" in done.stdout
