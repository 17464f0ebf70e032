"""The command line, run as a user would."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import pyarrow.parquet
import pytest
import scipy.sparse
from click.testing import CliRunner
from disk import write
from samples import knn_similarity

from sparse_ap import affinity_propagation
from sparse_ap.cli.commands import main
from sparse_ap.graphs import knn_graph


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def graph_file(tmp_path: Path, knn: Any) -> Path:
    scipy.sparse.save_npz(tmp_path / "graph.npz", knn)
    return tmp_path / "graph.npz"


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    graph = knn_similarity(500, 6, 2, seed=3)
    path = tmp_path / "pairs.npz"
    np.savez(path, indices=graph.indices.reshape(500, 6), distances=np.sqrt(-graph.data).reshape(500, 6))
    return path


@pytest.mark.parametrize("ending", ["parquet", "csv", "npz"])
def test_cluster_writes_the_labels(graph_file: Path, knn: Any, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"labels.{ending}"
    result = run("cluster", graph_file, "--preference", "-0.02", "-o", output)
    assert result.exit_code == 0, result.output
    expected = affinity_propagation(knn, preference=-0.02)
    if ending == "npz":
        with np.load(output) as saved:
            labels, exemplars = saved["labels"], saved["exemplars"][saved["labels"]]
    elif ending == "csv":
        table = np.loadtxt(output, delimiter=",", skiprows=1)
        assert output.read_text().startswith("point,label,exemplar,similarity,runner_up,margin\n")
        labels, exemplars = table[:, 1], table[:, 2]
    else:
        columns = pyarrow.parquet.read_table(output).to_pydict()
        assert columns["point"] == list(range(3000))
        labels, exemplars = columns["label"], columns["exemplar"]
    assert (labels == expected.labels).all()
    assert (exemplars == expected.exemplars[expected.labels]).all()
    assert f"exemplars       {expected.n_clusters:,}" in result.output
    assert f"net similarity  {expected.net_similarity:.8g}" in result.output
    assert str(output) in result.output
    assert not list(tmp_path.glob(".*part"))


def test_neighbour_lists_become_similarities(pairs_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.npz"
    result = run(
        *("cluster", pairs_file, "--similarity", "-d**2", "--preference", -0.02, "--tol", 0.01),
        *("-o", output),
    )
    assert result.exit_code == 0, result.output
    expected = affinity_propagation(knn_similarity(500, 6, 2, seed=3), preference=-0.02, tol=0.01)
    with np.load(output) as saved:
        assert saved["net_similarity"] == pytest.approx(expected.net_similarity, rel=1e-5)


def test_not_converged_exits_with_3_and_writes_all_the_same(graph_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    result = run("cluster", graph_file, "--max-iter", 5, "-o", output)
    assert result.exit_code == 3
    assert output.exists()
    assert "did not converge" in result.output
    quiet = run("cluster", graph_file, "--max-iter", 5, "--quiet")
    assert quiet.exit_code == 3
    assert quiet.stdout == ""
    assert "did not converge" in quiet.stderr


def test_info_shows_what_is_there(graph_file: Path, knn: Any) -> None:
    output = run("info", graph_file).output
    assert "points             3,000\n" in output
    assert "edges              36,000\n" in output
    assert "edges from a point 12 to 12, median 12\n" in output
    assert "components         1\n" in output
    assert f"     50%  {np.median(knn.data):>12.6g}  " in output
    largest = np.bincount(knn.indices).max()
    assert f"at least {-(-3000 // (1 + largest))}," in output


def test_info_of_odd_graphs(tmp_path: Path) -> None:
    graph = scipy.sparse.csr_array(([1.0, -np.inf, 5.0], [1, 2, 2], [0, 2, 2, 3]), shape=(3, 3))
    scipy.sparse.save_npz(tmp_path / "odd.npz", graph)
    output = run("info", tmp_path / "odd.npz").output
    assert "ignored entries    1 on the diagonal" in output
    assert "ignored entries    1 -inf (no edge)" in output
    assert "without any edge   2 points" in output
    assert "components         2" in output
    scipy.sparse.save_npz(tmp_path / "empty.npz", scipy.sparse.csr_array((4, 4)))
    assert (
        "There are no edges: every point will be an exemplar." in run("info", tmp_path / "empty.npz").output
    )


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("graph.txt", b"", "graph.txt has no edges; lines of two points and their similarity are needed."),
        ("graph.pdf", b"", "graph.pdf ends in '.pdf'; graphs are read from .npz, .mtx, .h5ad, zarr folders"),
        ("graph.npz", b"no zip", "graph.npz is no .npz file, or a damaged one"),
        ("graph.npz", b"", "graph.npz is no .npz file, or a damaged one"),
    ],
)
def test_files_that_are_no_graphs(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(content)
    result = run("info", tmp_path / name)
    assert result.exit_code == 2
    assert text in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["info", "knn", "convert"])
def test_other_files_are_never_said_to_be_pickles(command: str, tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("labels")
    where = [] if command == "info" else ["-o", tmp_path / ("out.npz" if command == "knn" else "out.zarr")]
    result = run(command, tmp_path / "text.npz", *where)
    text = f"Error: {tmp_path / 'text.npz'} is no .npz file, or a damaged one. Write it again.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", text)


def test_arrays_that_are_no_graph(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros((3, 2)), b=np.zeros((3, 2)))
    result = run("cluster", tmp_path / "two.npz")
    assert result.exit_code == 2
    assert "two.npz holds the arrays a, b; needed is a sparse matrix" in result.stderr


@pytest.mark.parametrize(
    "arrays",
    [
        {"points": [[0.0]], "names": ["a"]},
        {"indices": [[7], [0]], "distances": [[1.0], [1.0]]},
        {"indices": [[1], [0]], "distances": [[np.nan], [1.0]]},
        {"indices": [[1], [0]], "distances": [["a"], ["b"]]},
        {"format": b"lil", "shape": (2, 2), "data": [1.0]},
        {"format": b"csr", "shape": (2, 2), "data": [1.0], "indices": [1 + 0j], "indptr": [0, 1, 1]},
        {"format": b"csr", "shape": (2, 2), "data": [1.0], "indices": [1], "indptr": [0, 5, 1]},
        {"format": b"csr", "shape": (2, 3), "data": [1.0], "indices": [1], "indptr": [0, 1, 1]},
    ],
)
def test_commands_say_the_same_of_a_file(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", **arrays)
    clustered, converted = run("info", tmp_path / "odd.npz"), run("convert", tmp_path / "odd.npz", "-o", "g")
    assert clustered.stderr.startswith("Error: ")
    assert (converted.exit_code, converted.stderr) == (clustered.exit_code, clustered.stderr)


def test_damage_inside_the_lists_is_not_told_as_damage_of_the_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "lists.npz", indices=[[7], [0]], distances=[[1.0], [1.0]])
    assert run("info", tmp_path / "lists.npz").stderr.startswith("Error: indices name point 7 (row 0")
    np.savez(tmp_path / "odd.npz", format=b"lil", shape=(2, 2), data=[1.0])
    assert "odd.npz is no .npz file, or a damaged one" in run("info", tmp_path / "odd.npz").stderr


def test_a_zarr_folder_is_a_graph(knn: Any, tmp_path: Path) -> None:
    folder = write(tmp_path / "graph.zarr", knn)
    assert "edges              36,000\n" in run("info", folder).output
    output = tmp_path / "labels.npz"
    result = run("cluster", folder, "--preference", -0.02, "--memory-limit", "4GB", "-o", output)
    assert result.exit_code == 0, result.output
    with np.load(output) as saved:
        assert (saved["labels"] == affinity_propagation(knn, preference=-0.02).labels).all()
    for command in ("info", "cluster"):
        result = run(command, folder, "--similarity", "-d")
        assert result.exit_code == 2
        assert "graph.zarr holds no distances, but how to turn them into similarities" in result.stderr


def test_options_that_are_passed_on(knn: Any, tmp_path: Path) -> None:
    graph = knn.copy()
    graph.data[5] = np.nan
    scipy.sparse.save_npz(tmp_path / "nan.npz", graph)
    assert run("cluster", tmp_path / "nan.npz").exit_code == 2
    assert run("cluster", tmp_path / "nan.npz", "--missing", "nan", "--preference", -0.02).exit_code == 0
    result = run("cluster", tmp_path / "nan.npz", "--missing", "nan", "--memory-limit", "1MB")
    assert result.exit_code == 2
    assert "--memory-limit" in result.stderr


@pytest.mark.parametrize("refine", ["search", "medoid", "none"])
def test_the_refinement_is_passed_on(refine: str, graph_file: Path, knn: Any, tmp_path: Path) -> None:
    output = tmp_path / "labels.npz"
    assert run("cluster", graph_file, "--refine", refine, "--n-jobs", 1, "-o", output).exit_code == 0
    expected = affinity_propagation(knn, refine=None if refine == "none" else refine, n_jobs=1)  # type: ignore[arg-type]
    with np.load(output) as saved:
        assert saved["net_similarity"] == expected.net_similarity


def test_a_bound_is_told(graph_file: Path, knn: Any) -> None:
    for given, more in ((0.1, "; optimal within HiGHS's tolerance"), (40.0, "")):
        preference = given * float(np.median(knn.data))
        expected = affinity_propagation(knn, preference=preference, certify=True)
        lines = run("cluster", graph_file, "--preference", preference, "--certify").output.splitlines()
        bound, gap = expected.net_similarity_bound, expected.optimality_gap
        assert f"at most         {bound:.8g}  (proven; {gap:.2%} more{more})" in lines


def test_the_complete_graph_is_bounded_if_it_is_known(graph_file: Path, tmp_path: Path) -> None:
    points = tmp_path / "points.npy"
    np.save(points, np.random.default_rng(0).normal(size=(60, 2)))
    options = ["-k", 20, "--preference", -0.5, "--certify-complete"]
    assert "(proven for the complete graph; " in run("cluster", points, *options).output
    refused = run("cluster", graph_file, "--certify-complete")
    assert refused.exit_code == 2
    assert "--certify-complete bounds the clusterings of all pairs of points" in refused.output
    assert "or give --certify for the clusterings of this graph" in " ".join(refused.output.split()).lower()


def test_positive_similarities_are_told(graph_file: Path, tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "d.npz", -scipy.sparse.load_npz(graph_file))
    result = run("cluster", tmp_path / "d.npz")
    assert result.stderr.startswith("Warning: No similarity is negative, and the largest is ")
    quiet = run("cluster", tmp_path / "d.npz", "--quiet")
    assert len(quiet.stderr.splitlines()) == (quiet.exit_code == 3)
    assert "Warning" not in run("cluster", graph_file).stderr


def test_similarities_are_not_taken_for_distances(graph_file: Path) -> None:
    result = run("info", graph_file, "--similarity", "-d**2")
    assert result.exit_code == 2
    assert "holds no distances, but how to turn them into similarities was given: '-d**2'" in result.stderr


def test_outputs_are_refused_before_the_work(graph_file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for output, text in [
        (tmp_path / "labels.xls", "labels.xls ends in '.xls'; one of .parquet, .csv, .npz, .zarr is needed."),
        (tmp_path / "nowhere" / "labels.csv", "does not exist; make it first."),
    ]:
        result = run("cluster", graph_file, "-o", output)
        assert result.exit_code == 2
        assert text in result.stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("cluster", graph_file, "-o", tmp_path / "labels.parquet")
    assert result.exit_code == 2
    assert (
        "Writing .parquet needs pyarrow, which is not installed: pip install 'sparse-ap[parquet]'"
        in result.stderr
    )


def test_errors_name_what_was_wrong(graph_file: Path) -> None:
    result = run("cluster", graph_file, "--damping", "0.2")
    assert result.exit_code == 2
    assert result.stderr == "Error: --damping 0.2; it must be 0.5 or more and less than 1.\n"
    assert run("cluster", "missing.npz").exit_code == 2


def test_numbers_may_have_a_typographic_minus(graph_file: Path) -> None:
    options = [option for command in main.commands.values() for option in command.load().params]
    numbers = [option for option in options if type(option.type) is not click.FloatRange
               and isinstance(option.type, click.types.FloatParamType)]  # fmt: skip
    assert len(numbers) > 12
    assert {option.type("\u22122.5e\u22121") for option in numbers} == {-0.25}
    plain, typeset = (run("path", graph_file, f"--preferences={sign}3.5,{sign}7") for sign in "-\u2212")
    assert plain.exit_code == 0
    assert typeset.output == plain.output


@pytest.mark.parametrize("command", [[], ["knn"], ["info"], ["cluster"], ["demo"]])
def test_help_teaches(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert max(map(len, result.output.splitlines())) <= 100


@pytest.mark.parametrize("indices", [[1 + 0j, 0j], [np.nan, 0.0]])
def test_positions_that_are_no_whole_numbers_are_no_graph(indices: list[Any], tmp_path: Path) -> None:
    """Of complex ones scipy takes the real parts, of NaN whatever the processor makes of it."""
    positions = {"data": [-1.0, -2.0], "indices": indices, "indptr": [0, 1, 2]}
    np.savez(tmp_path / "graph.npz", format=b"csr", shape=(2, 2), **positions)
    result = run("info", tmp_path / "graph.npz")
    assert result.exit_code == 2
    assert f"{tmp_path / 'graph.npz'} is no .npz file, or a damaged one (" in result.stderr


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """A real process is interrupted in the middle of its sweeps."""
    scipy.sparse.save_npz(tmp_path / "graph.npz", knn_similarity(100_000, 30, 3, seed=0), compressed=False)
    command = [sys.executable, "-m", "sparse_ap", "cluster", "graph.npz", "-o", "labels.csv"]
    options = ["--max-iter", "100000", "--convergence-iter", "99999", "--preference", "-1"]
    process = subprocess.Popen(
        [*command, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        # Starting and reading takes less, on a busy machine too.
        while psutil.Process(process.pid).cpu_times().user < 12:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, (out, err)
    assert "Interrupted." in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["graph.npz"]


def test_a_closed_pipe_is_no_error(graph_file: Path) -> None:
    command = f"{sys.executable} -m sparse_ap info {graph_file} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "points             3,000\n"
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_knn_writes_a_graph(tmp_path: Path, ending: str) -> None:
    points, output = np.random.default_rng(0).normal(size=(300, 4)), tmp_path / "graph.npz"
    path = tmp_path / f"points.{ending}"
    np.save(path, points) if ending == "npy" else np.savez(path, points)
    result = run("knn", path, "-o", output, "-k", 6, "--metric", "cosine", "--similarity", "1-d")
    assert result.exit_code == 0, result.output
    expected = knn_graph(points, 6, metric="cosine", similarity="1-d")
    assert (scipy.sparse.load_npz(output) != expected).nnz == 0
    lines = result.output.splitlines()
    assert lines[:3] == ["points      300", "edges       1,800", "search      all pairs, cosine"]
    assert lines[3] == "recall      1, exact"
    assert lines[5:] == [f"written to  {output}", f"next        sparse-ap info {output}"]
    assert not list(tmp_path.glob(".*part"))
    assert run("knn", path, "-o", output, "--quiet").output == ""
    assert run("cluster", output, "--preference", -3).exit_code == 0


def test_knn_refuses_an_output_before_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "points.npy"
    path.write_bytes(b"not read")
    for output, text in [
        ("graph.txt", "graph.txt ends in '.txt'; a graph is written to an .npz file or a .zarr folder."),
        ("nowhere/graph.npz", "nowhere does not exist; make it first."),
    ]:
        result = run("knn", path, "-o", tmp_path / output)
        assert result.exit_code == 2
        assert text in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "points.dat",
            "points.dat ends in '.dat'; points are read from .npy, .npz, .csv, .tsv, .txt or .parquet files",
        ),
        ("points.npy", "points.npy is no .npy file, or a damaged one"),
        (
            "two.npz",
            "two.npz holds the arrays a, b; exactly one is needed, the table of points. Write it alone",
        ),
    ],
)
def test_files_that_are_no_points(tmp_path: Path, name: str, text: str) -> None:
    if name == "two.npz":
        np.savez(tmp_path / name, a=np.zeros((3, 2)), b=np.zeros((3, 2)))
    else:
        (tmp_path / name).write_bytes(b"no table")
    result = run("knn", tmp_path / name, "-o", tmp_path / "graph.npz")
    assert result.exit_code == 2
    assert text in result.stderr
    assert not (tmp_path / "graph.npz").exists()


def test_from_a_table_of_edges_to_families(tmp_path: Path) -> None:
    table = tmp_path / "edges.tsv"
    lines = [f"{a}{i}\t{a}{k}\t{-abs(i - k)}" for a in "xyz" for i in range(6) for k in range(6) if i != k]
    table.write_text("\n".join(lines) + "\n")
    graph, labels = tmp_path / "graph.zarr", tmp_path / "labels.csv"
    converted = run("convert", table, "-o", graph)
    assert converted.exit_code == 0, converted.output
    assert "points          18" in converted.output
    arguments = ["cluster", graph, "--preference", -20, "-o", labels, "--memory-limit", "4GB"]
    done = run(*arguments, "--checkpoint", tmp_path / "kept")
    assert done.exit_code == 0, done.output
    with labels.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["point"] for row in rows] == [f"{a}{i}" for a in "xyz" for i in range(6)]
    assert all(row["point"][0] == row["exemplar"][0] for row in rows)
    again = run(*arguments, "--checkpoint", tmp_path / "kept", "--resume", "--quiet")
    assert again.exit_code == 0, again.output


def test_a_column_needs_a_store(tmp_path: Path, graph_file: Path) -> None:
    done = run("cluster", graph_file, "--obs", "exemplar")
    assert done.exit_code == 2
    assert "--obs names a column, but not where: give --output, the AnnData store." in done.output
    done = run("cluster", graph_file, "--obs", "exemplar", "-o", tmp_path / "no")
    assert done.exit_code == 2
    assert "does not exist; --obs adds columns to what AnnData has written" in done.output


@pytest.mark.parametrize("command", ["info", "cluster", "path", "tree", "cover"])
def test_nan_may_be_no_edge(command: str, tmp_path: Path) -> None:
    graph = knn_similarity(200, 8, 2, seed=1)
    graph.data[3] = np.nan
    scipy.sparse.save_npz(tmp_path / "nan.npz", graph)
    few = {"path": ["--preferences=-0.1"], "cover": ["-t", "-0.1"]}.get(command, [])
    refused = run(command, tmp_path / "nan.npz", *few)
    assert (refused.exit_code, "Give --missing nan to take" in refused.stderr) == (2, True)
    assert run(command, tmp_path / "nan.npz", *few, "--missing", "nan").exit_code == 0


@pytest.mark.parametrize("command", ["cluster", "tree"])
def test_an_output_that_is_a_folder_is_refused_at_once(
    command: str, graph_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").mkdir()
    result = run(command, graph_file, "-o", tmp_path / "labels.csv")
    text = f"{tmp_path / 'labels.csv'} is a folder, and a file is to be written. Choose another name."
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {text}\n")


# --- the command line speaks its own language ---


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Give missing='nan' to take them", "Give --missing nan to take them"),
        ("parameters with resume=True (--resume).", "parameters with --resume."),
        ("resume=True needs checkpoint, the", "--resume needs checkpoint, the"),
        ("With checkpoint=... (--checkpoint) a run", "With --checkpoint a run"),
        ("Ask for dtype='float64' (--float64).", "Ask for --float64."),
        ("take ids='string' (--ids string)", "take --ids string"),
        ("Raise memory_limit (--memory-limit).", "Raise --memory-limit."),
        ("affinity_propagation(..., refine='medoid') takes", "sparse-ap cluster --refine medoid takes"),
        ("n_clusters=5 (--n-clusters) was given", "--n-clusters 5 was given"),
        ("preference=-2.5; a number", "--preference=-2.5; a number"),
        ("preference_quantile=3; it must", "--quantile 3; it must"),
        ("take similarity=lambda s: s for those", "take similarity=lambda s: s for those"),
        ("open_graph(missing='nan')", "open_graph(missing='nan')"),
        ("n_edges=3 and damping", "n_edges=3 and damping"),
    ],
)
def test_arguments_are_said_as_options(text: str, typed: str) -> None:
    from sparse_ap.cli.cluster import cluster
    from sparse_ap.cli.language import as_typed

    assert as_typed(text, cluster) == typed


def test_errors_name_options(graph_file: Path, tmp_path: Path) -> None:
    for options, text in (
        (["--resume"], "Error: --resume needs"),
        (["--quantile", "3"], "Error: --quantile 3"),
        (["--damping", "0.2"], "Error: --damping 0.2"),
        (["--tol", "7"], "Error: --tol 7"),
    ):
        done = run("cluster", graph_file, *options)
        assert (done.exit_code, done.stderr[: len(text)]) == (2, text)


@pytest.mark.parametrize("command", ["cluster", "path", "tree"])
def test_positive_similarities_are_asked_about_in_one_line(command: str, tmp_path: Path) -> None:
    graph = -knn_similarity(200, 8, 2, seed=1)
    scipy.sparse.save_npz(tmp_path / "bits.npz", graph)
    few = ["--preferences=0.1"] if command == "path" else []
    said = run(command, tmp_path / "bits.npz", *few).stderr.splitlines()
    asked = [line for line in said if "No similarity is negative" in line]
    assert len(asked) == 1
    assert asked[0].startswith("Warning: ")
    assert asked[0].endswith("to be told so no more: --quiet.")
    assert not any("PositiveSimilarityWarning" in line for line in said)
    assert "No similarity" not in run(command, tmp_path / "bits.npz", *few, "--quiet").stderr
