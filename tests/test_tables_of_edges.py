"""Tables of edges, as other programs write them: the right graph, or a refusal with its reason."""

# Each case is a line: a file, and what must come out.
# ruff: noqa: E501

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import zarr

from sparse_ap import InvalidInputError
from sparse_ap.graphs import read_graph, write_graph

Edges = dict[tuple[str, str], float]
ONE: Edges = {("A", "B"): 0.5}
TWO: Edges = {("A", "B"): 0.5, ("B", "C"): 0.25}
TEN: Edges = {("10", "20"): 0.5}
TENS: Edges = {("10", "20"): 0.5, ("20", "30"): 0.25}


def edges_in(path: Path, **options: Any) -> Edges:
    """Return the edges of a file, with the names or the numbers of their points."""
    target = path.parent / "read.zarr"
    write_graph(path, target, overwrite=True, dtype="float64", **options)
    graph = read_graph(target).tocoo()
    group = zarr.open_group(target, mode="r")
    names = (
        [str(name) for name in group["ids"][:]] if "ids" in group else list(map(str, range(graph.shape[0])))
    )
    rows, columns = graph.coords
    found = zip(rows.tolist(), columns.tolist(), graph.data.tolist(), strict=True)
    return {(names[a], names[b]): s for a, b, s in found}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def hits(pairs: list[tuple[str, str, float]], comment: str = "") -> str:
    """Return lines of BLAST's twelve columns, each after a comment."""
    return "".join(f"{comment}{a}\t{b}\t90\t50\t5\t0\t1\t50\t1\t50\t1e-9\t{bits}\n" for a, b, bits in pairs)


RIGHT: dict[str, tuple[str, str | bytes, Edges]] = {
    # Comments
    "a comment first": ("e.tsv", "# x\nA\tB\t.5\nB\tC\t.25\n", TWO),
    "three comments first": ("e.txt", "# x\n#\n# y\nA B .5\nB C .25\n", TWO),
    "a comment before a heading": ("e.csv", "# x\nsource,target,weight\nA,B,.5\nB,C,.25\n", TWO),
    "a comment below the heading": ("e.csv", "source,target,weight\n# x\nA,B,.5\nB,C,.25\n", TWO),
    "comments between edges": ("e.tsv", "A\tB\t.5\n# x\n# y, z\nB\tC\t.25\n# end\n", TWO),
    "a comment with as many columns": ("e.tsv", "A\tB\t.5\n# x\ty\tz\nB\tC\t.25\n", TWO),
    "an indented comment": ("e.abc", "  # x\nA B .5\n  # y\nB C .25\n", TWO),
    "KONECT's comments": ("e.tsv", "% asym positive\n% 2 3 3\n10 20 .5\n20 30 .25\n", TENS),
    "a comment without its line's end": ("e.tsv", "A\tB\t.5\nB\tC\t.25\n# end", TWO),
    "a comment that names the columns": ("e.tsv", "#weight\tsource\ttarget\n.5\tA\tB\n.25\tB\tC\n", TWO),
    "a quoted name with a mark": ("e.csv", '"#A",B,.5\n', {("#A", "B"): 0.5}),
    "quotes in comments": ("e.csv", '# 5" x\nA,B,.5\n# 6" y\nB,C,.25\n', TWO),
    "blank lines first": ("e.tsv", "\n\n# x\n\nA\tB\t.5\n\nB\tC\t.25\n\n", TWO),
    # Index columns and other places
    "pandas' index": ("e.csv", ",source,target,weight\n0,10,20,.5\n", TEN),
    "pandas' index, other headings": ("e.csv", ",gene,partner,r\n0,A,B,.5\n1,B,C,.25\n", TWO),
    "pandas' index, no headings given": ("e.csv", ",0,1,2\n0,10,20,.5\n1,20,30,.25\n", TENS),
    "pandas' index, read again": ("e.csv", "Unnamed: 0,a,b,s\n0,10,20,.5\n1,20,30,.25\n", TENS),
    "a named index": ("e.csv", "index,a,b,s\n0,10,20,.5\n1,20,30,.25\n", TENS),
    "R's write.csv": ("e.csv", '"","source","target","weight"\n"1","A","B",0.5\n"2","B","C",0.25\n', TWO),
    "R's write.csv, V1": ("e.csv", '"","V1","V2","V3"\n"1",10,20,0.5\n"2",20,30,0.25\n', TENS),
    "R's write.table": ("e.txt", '"from" "to" "weight"\n"1" "A" "B" 0.5\n"2" "B" "C" 0.25\n', TWO),
    "R's write.table, no quotes": ("e.tsv", "from\tto\tscore\n1\t10\t20\t0.5\n2\t20\t30\t0.25\n", TENS),
    "R's write.table, other headings": ("e.txt", '"gene" "partner" "r"\n"1" "A" "B" 0.5\n"2" "B" "C" 0.25\n', TWO),
    "columns in another order": ("e.csv", "weight,target,source\n.5,B,A\n.25,C,B\n", TWO),
    "from, to, score": ("e.tsv", "kind\tfrom\tto\tscore\nx\tA\tB\t.5\ny\tB\tC\t.25\n", TWO),
    "headings of MMseqs2": ("e.m8", "query\ttarget\tfident\tbits\nA\tB\t.9\t.5\nB\tC\t.8\t.25\n", TWO),
    "headings of MMseqs2, reordered": ("e.m8", "bits\ttarget\tevalue\tquery\n.5\tB\t1\tA\n.25\tC\t1\tB\n", TWO),
    "headings that nobody knows": ("e.csv", "gene,partner,r\nA,B,.5\nB,C,.25\n", TWO),
    "quoted headings": ("e.csv", '"source","target","weight"\n"A","B","0.5"\n"B","C","0.25"\n', TWO),
    # First lines
    "all quoted": ("e.csv", '"A","B","0.5"\n', ONE),
    "all quoted, by tabs": ("e.tsv", '"A"\t"B"\t"0.5"\n"B"\t"C"\t"0.25"\n', TWO),
    "all quoted, MCL": ("e.abc", '"A"\t"B"\t0.5\n"B"\t"C"\t0.25\n', TWO),
    "quoted where needed": ("e.csv", 'A,"B, b",0.5\n"a ""x""",B,.25\n', {("A", "B, b"): 0.5, ('a "x"', "B"): 0.25}),
    "a quote within a name": ("e.m8", hits([('5"-A', "B", 0.5)]), {('5"-A', "B"): 0.5}),
    # Blanks, ends of lines
    "blanks after commas": ("e.csv", "A, B, 0.5\nB, A, 0.4\n", {("A", "B"): 0.5, ("B", "A"): 0.4}),
    "blanks around tabs": ("e.tsv", "A \t B\t .5 \nB\tC \t.25\n", TWO),
    "blanks before a heading": ("e.csv", "source , target , weight\n A , B , .5\nB,C,.25\n", TWO),
    "blanks within quotes": ("e.csv", '" A", "B" ,.5\n', {(" A", "B"): 0.5}),
    "blanks within names": ("e.tsv", "A a\tB b\t.5\n", {("A a", "B b"): 0.5}),
    "several blanks": ("e.txt", "A   B  .5\n  B C    .25  \n", TWO),
    "tabs and blanks": ("e.abc", "A \t B .5\nB\tC\t.25\n", TWO),
    "quoted names with blanks": ("e.txt", '"A  a" "B"  .5\n', {("A  a", "B"): 0.5}),
    "CRLF": ("e.csv", "A,B,.5\r\nB,C,.25\r\n", TWO),
    "CRLF and LF": ("e.csv", "source,target,weight\r\nA,B,.5\nB,C,.25\r\n", TWO),
    "CR alone": ("e.csv", "A,B,.5\rB,C,.25\r", TWO),
    "CRCRLF": ("e.csv", "A,B,.5\r\r\nB,C,.25\r\r\n", TWO),
    "no end of the last line": ("e.csv", "A,B,.5\nB,C,.25", TWO),
    "semicolons": ("e.csv", "source;target;weight\nA;B;.5\nB;C;.25\n", TWO),
    "tabs in .csv": ("e.csv", "A\tB\t.5\nB\tC\t.25\n", TWO),
    "commas in .tsv": ("e.tsv", "A,B,.5\nB,C,.25\n", TWO),
    "commas in .txt": ("e.txt", "A,B,.5\nB,C,.25\n", TWO),
    "blanks in .tsv": ("e.tsv", "A B .5\nB C .25\n", TWO),
    # Encodings
    "a mark of UTF-8": ("e.csv", codecs.BOM_UTF8 + b"A,B,.5\nB,C,.25\n", TWO),
    "a mark of UTF-8 and headings": ("e.csv", codecs.BOM_UTF8 + b"weight,source,target\n.5,A,B\n.25,B,C\n", TWO),
    "a mark and quotes": ("e.csv", codecs.BOM_UTF8 + b'"A","B",".5"\n"B","C",".25"\n', TWO),
    "UTF-16": ("e.csv", "A,B,.5\r\nB,Ü,.25\r\n".encode("utf-16"), {("A", "B"): 0.5, ("B", "Ü"): 0.25}),
    "UTF-16, big end first": ("e.csv", codecs.BOM_UTF16_BE + "A,B,.5\nB,C,.25\n".encode("utf-16-be"), TWO),
    "UTF-32": ("e.csv", "A,B,.5\nB,C,.25\n".encode("utf-32"), TWO),
    # Compressed, and other endings
    "gzip": ("e.tsv.gz", gzip.compress(b"# x\nA\tB\t.5\nB\tC\t.25\n"), TWO),
    "gzip in two parts": ("e.tsv.GZ", gzip.compress(b"A\tB\t.5\n") + gzip.compress(b"B\tC\t.25\n"), TWO),
    "bzip2": ("e.csv.bz2", bz2.compress(b"A,B,.5\nB,C,.25\n"), TWO),
    "xz": ("E.CSV.XZ", lzma.compress(b"A,B,.5\nB,C,.25\n"), TWO),
    "capitals": ("e.TSV", "A\tB\t.5\nB\tC\t.25\n", TWO),
    "Matrix Market": ("e.MTX", "%%MatrixMarket matrix coordinate real general\n3 3 1\n1 2 5.0D-1\n", {("0", "1"): 0.5}),
    "Matrix Market, bzip2": (
        "E.MTX.BZ2", bz2.compress(b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 .5\n"), {("0", "1"): 0.5},
    ),
    "Matrix Market, gzip": (
        "e.mtx.gz", gzip.compress(b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 +.5d0\n"), {("0", "1"): 0.5},
    ),
    # Formats without weights, digits, names
    "MCL without weights": ("e.abc", "A B\nB C\n", {("A", "B"): 1.0, ("B", "C"): 1.0}),
    "digits of Unicode": ("e.csv", "①,²,.5\n", {("①", "²"): 0.5}),
    "a name NA": ("e.csv", "NA,B,.5\nB,C,.25\n", {("NA", "B"): 0.5, ("B", "C"): 0.25}),
    "zeros before a number": ("e.csv", "007,7,.5\n", {("007", "7"): 0.5}),
    "a plus": ("e.csv", "A,B,+.5\nB,C,+2.5e-1\n", TWO),
    "whole numbers from 0": ("e.csv", "0,1,2\n1,2,3\n", {("0", "1"): 2.0, ("1", "2"): 3.0}),
}  # fmt: skip


GAPS = pytest.mark.filterwarnings("ignore:.*they are taken for names")


@GAPS
@pytest.mark.parametrize("case", sorted(RIGHT))
def test_what_is_read_is_right(case: str, tmp_path: Path) -> None:
    name, content, expected = RIGHT[case]
    assert edges_in(written(tmp_path, name, content)) == expected


REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "an edge or a comment": ("e.csv", "A,B,.5\n#C,D,.4\n", "the line '#C,D,.4' is a comment, or an edge of the point "
                             "'#C'. Leave it out, or enclose the name in double quotes."),
    "an edge or a comment, first": ("e.tsv", "#A\tB\t.5\nB\tC\t.25\n", "the line '#A\\tB\\t.5' is a comment, or an edge"),
    "edges or comments": ("e.csv", "#A,#B,.5\n", "has no edges; lines that begin with neither # nor %"),
    "no bit score": ("e.m8", "query\ttarget\tfident\nA\tB\t.9\n", "has 3 columns (query, target, fident); two are the "
                     "points, and the similarity was looked for in 'bitscore'."),
    "no query": ("e.m8", "\ta\tb\tbits\n0\tA\tB\t.9\n", "none of them are query and target"),
    "missing in the first line": ("e.txt", "A B NA\nB C .25\n", "1 edges are wrong. The first: line 1 ('A B NA'): the "
                                  "similarity is 'NA'; a number is needed."),
    "empty in the first line": ("e.csv", "A,B,\nB,C,.25\n", "line 1 ('A,B,'): the similarity is ''; a number"),
    "no point in the first line": ("e.csv", ",B,.5\nB,C,.25\n", "line 1 (',B,.5'): an id is empty"),
    "a mistyped number first": ("e.csv", "A,B,O.5\nB,C,.25\nC,A,1\n", "line 1 ('A,B,O.5'): the similarity is 'O.5'"),
    "Fortran's exponent": ("e.txt", "A B 5.0D-1\nB C 1\n", "line 1 ('A B 5.0D-1'): the similarity is '5.0D-1'"),
    "a line below": ("e.csv", "# x\nsource,target,weight\nA,B,.5\n\nB,C,1_0\n", "line 5 ('B,C,1_0'): the similarity is "
                     "'1_0'"),
    "a heading in the middle": ("e.csv", "a,b,s\nA,B,.5\na,b,s\n", "line 3 ('a,b,s'): the similarity is 's'"),
    "commas for decimals": ("e.csv", '"a";"b";0,5\n"b";"c";0,25\n', "a number is needed, with a point for the decimals"),
    "numbers for headings": ("e.csv", "0,1,2\n10,20,.5\n", "is an edge or pandas' numbers of the columns"),
    "an index without heading": ("e.csv", "0,10,20,.5\n1,20,30,.25\n", "the first counts the lines"),
    "a matrix with names": ("e.csv", ",A,B,C\nA,1,.5,.2\nB,.5,1,.1\nC,.2,.1,1\n", "is a matrix: its rows have the names"),
    "a matrix of numbered rows": ("e.csv", ",0,1,2\n0,1,.5,.2\n1,.5,1,.1\n2,.2,.1,1\n", "is a matrix"),
    "a matrix without names": ("e.csv", "1,.5,.2\n.5,1,.1\n.2,.1,1\n", "it is a matrix, or these are names"),
    "a column without a heading": ("e.csv", "source,target,weight\nA,B,.5,7\nB,C,.25,8\n", "has 3 headings (source, target, weight), but 4 columns below"),
    "UTF-16 without a mark": ("e.csv", "A,B,.5\n".encode("utf-16-le"), "holds bytes of 0"),
    "Latin-1": ("e.csv", "A,B,.5\nB,Ü,.25\n".encode("latin-1"), "line 2 ('B,�,.25'): it is not encoded in UTF-8"),
    "an open quote": ("e.csv", 'A,B,.5\n"B,C,.25\nC,A,.1\n', "line 2 ('\"B,C,.25'): a double quote is not closed"),
    "gzip cut short": ("e.csv.gz", gzip.compress(b"A,B,.5\n" * 9)[:-9], "cannot be decompressed as .gz"),
    "gzip broken": ("e.csv.gz", gzip.compress(bytes(range(256)) * 99)[:30] + b"xxxxxxxxxxxxx", "cannot be decompressed"),
    "no gzip": ("e.csv.gz", "A,B,.5\n", "cannot be decompressed as .gz"),
    "no bzip2": ("e.csv.bz2", "A,B,.5\n", "cannot be decompressed as .bz2"),
    "no xz": ("e.csv.xz", "A,B,.5\n", "cannot be decompressed as .xz"),
    "no zstd": ("e.csv.zst", "A,B,.5\n", "cannot be decompressed as .zst"),
    "gzip by another name": ("e.csv", gzip.compress(b"A,B,.5\n"), "or name it e.csv.gz"),
    "zip": ("e.csv", b"PK\x03\x04 and so on", "Decompress it."),
    "two columns of a name": ("e.csv", "a,b,s,s\nA,B,.5,.4\n", "has 2 columns 's'"),
    "Matrix Market, comma": ("e.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 0,5\n", "line 3 ('1 2 "
                             "0,5') is no entry"),
    "Matrix Market, letters": ("e.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 0.5x\n", "line 3"),
    "Matrix Market, a fourth number": ("e.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 1 7\n", "line 3"),
    "Matrix Market, points": ("e.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 1.5.5\n", "line 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_has_two_meanings_or_none_is_refused(case: str, tmp_path: Path) -> None:
    name, content, reason = REFUSED[case]
    path = written(tmp_path, name, content)
    column = "s" if case == "two columns of a name" else None
    with pytest.raises(InvalidInputError) as error:
        edges_in(path, column=column)
    assert str(error.value).startswith(str(path))
    assert reason in str(error.value)


def test_zstd(tmp_path: Path) -> None:
    with pa.CompressedOutputStream(str(tmp_path / "e.csv.zst"), "zstd") as file:
        file.write(b"A,B,.5\nB,C,.25\n" * 1000)
    assert edges_in(tmp_path / "e.csv.zst") == TWO
    whole = (tmp_path / "e.csv.zst").read_bytes()
    with pytest.raises(InvalidInputError, match=r"cannot be decompressed as \.zst: Truncated"):
        edges_in(written(tmp_path, "f.csv.zst", whole[:-9]))


# BLAST and MMseqs2

FIELDS = (
    "query acc.ver, subject acc.ver, % identity, alignment length, mismatches, gap opens, q. start, q. end, "
    "s. start, s. end, evalue, bit score"
)


def commented(fields: str) -> str:
    return f"# BLASTP 2.15.0+\n# Query: x, and more\n# Database: y\n# Fields: {fields}\n# 1 hits found\n"


@pytest.mark.parametrize("ending", ["m8", "tsv", "m8.gz"])
def test_every_hit_of_a_commented_table_counts(ending: str, tmp_path: Path) -> None:
    """BLAST's outfmt 7: twelve hits, of which four are self hits."""
    pairs = [(f"P{i}", f"P{j}", 10.0 * i + j) for i in range(4) for j in (i, i + 4, i + 5)]
    content = hits(pairs, commented(FIELDS)) + "# BLAST processed 12 queries\n"
    packed = gzip.compress(content.encode()) if ending.endswith("gz") else content.encode()
    expected = {(a, b): bits for a, b, bits in pairs if a != b}
    assert len(expected) == 8
    assert edges_in(written(tmp_path, f"hits.{ending}", packed)) == expected


def test_the_names_of_fields_are_believed(tmp_path: Path) -> None:
    fields = "bit score, subject acc.ver, query acc.ver, evalue"
    path = written(
        tmp_path, "e.m8", commented(fields) + "50\tB\tA\t.5\n" + commented(fields) + "20\tC\tB\t.25\n"
    )
    assert edges_in(path) == {("A", "B"): 50.0, ("B", "C"): 20.0}
    assert edges_in(path, column="evalue") == TWO
    with pytest.raises(InvalidInputError, match=r"\(bit score, subject acc.ver, query acc.ver, evalue\)"):
        edges_in(path, column="pident")


@pytest.mark.parametrize("column", ["bits", "bitscore", "bit score", 4, "4"])
def test_a_column_by_any_of_its_names(column: Any, tmp_path: Path) -> None:
    names = ["query", "target", *(f"x{i}" for i in range(9)), "fident"]
    names[3] = "bits"
    rows = ["A\tB\t0\t.5" + "\t7" * 8, "B\tC\t0\t.25" + "\t7" * 8]
    path = written(tmp_path, "e.m8", "\n".join(["\t".join(names), *rows]) + "\n")
    assert edges_in(path, column=column) == TWO


def test_quoted_headings_are_found(tmp_path: Path) -> None:
    path = written(tmp_path, "e.csv", '"a","b","n, m","the ""s"""\n"A","B",1,.5\n"B","C",2,.25\n')
    assert edges_in(path, column='the "s"') == TWO
    assert edges_in(path, column="n, m") == {("A", "B"): 1, ("B", "C"): 2}
    with pytest.raises(InvalidInputError, match=r'has 4 columns \(a, b, n, m, the "s"\)'):
        edges_in(path, column="s")


# Parquet, and names of files

TABLE = pd.DataFrame({"a": ["A", "B"], "b": ["B", "C"], "s": [0.5, 0.25]})


@pytest.mark.parametrize("index", [True, False])
def test_parquet_by_its_headings(index: bool, tmp_path: Path) -> None:
    table = pd.DataFrame({"weight": [0.5, 0.25], "To": ["B", "C"], "from": ["A", "B"]}, index=[7, 8])
    table.to_parquet(tmp_path / "e.pq", index=index)
    assert edges_in(tmp_path / "e.pq") == TWO


@GAPS
def test_parquet_with_the_index_first(tmp_path: Path) -> None:
    table = pa.table({"__index_level_0__": [0, 1], "a": [10, 20], "b": [20, 30], "s": [0.5, 0.25]})
    pyarrow.parquet.write_table(table, tmp_path / "e.parquet")
    assert edges_in(tmp_path / "e.parquet") == TENS


def test_a_folder_is_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "k=15" / "s=1"
    folder.mkdir(parents=True)
    TABLE.assign(k=[3.0, 4.0]).to_parquet(folder / "e.parquet")
    assert edges_in(folder / "e.parquet", column="s") == TWO
    assert edges_in(folder / "e.parquet", column="k") == {("A", "B"): 3, ("B", "C"): 4}


def test_a_column_of_the_database_s(tmp_path: Path) -> None:
    TABLE.rename(columns={"s": "file_row_number"}).to_parquet(tmp_path / "e.parquet")
    assert edges_in(tmp_path / "e.parquet") == TWO


def as_text(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False)


WRITERS: dict[str, Callable[[Path, pd.DataFrame], None]] = {
    "parquet": lambda path, table: table.to_parquet(path), "csv": as_text
}  # fmt: skip


@pytest.mark.parametrize("ending", sorted(WRITERS))
@pytest.mark.parametrize(
    "name", ["hits[1]", "hits?", "hits*", "hits{1,2}", "~hits", "hits'1", "hits\\[1]", "[!h]", "hits%20"]
)
def test_a_name_is_no_pattern(
    name: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "[a]*"
    folder.mkdir()
    for other in ("hits1", "hits2", "x"):
        WRITERS[ending](folder / f"{other}.{ending}", TABLE.assign(s=[7.0, 8.0]))
    WRITERS[ending](folder / f"{name}.{ending}", TABLE)
    assert edges_in(folder / f"{name}.{ending}") == TWO
    monkeypatch.chdir(folder)
    assert edges_in(Path(f"{name}.{ending}")) == TWO


# Warnings


def test_which_column_was_taken_is_said(tmp_path: Path) -> None:
    """STRING's detailed file: eight scores, of which the last combines the others."""
    content = (
        "protein1 protein2 neighborhood fusion combined_score\n9606.A 9606.B 0 7 900\n9606.B 9606.C 0 8 800\n"
    )
    path = written(tmp_path, "e.txt", content)
    with pytest.warns(
        UserWarning, match="from the column 'combined_score'; numbers are also in 'neighborhood', 'fusion'"
    ):
        assert edges_in(path) == {("9606.A", "9606.B"): 900, ("9606.B", "9606.C"): 800}
    assert edges_in(path, column="fusion") == {("9606.A", "9606.B"): 7, ("9606.B", "9606.C"): 8}
    with pytest.warns(UserWarning, match="from the column 3; numbers are also in 4"):
        edges_in(written(tmp_path, "e.csv", "A,B,.5,7\nB,C,.25,8\n"))


def test_a_constant_column_among_several_is_said(tmp_path: Path) -> None:
    lines = "".join(f"p{i} p{i + 1} 0 {i}\n" for i in range(20))
    path = written(tmp_path, "e.txt", "protein1 protein2 neighborhood fusion\n" + lines)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        edges_in(path)
    said = " ".join(str(warning.message) for warning in warned)
    assert "from the column 'neighborhood'; numbers are also in 'fusion'" in said
    assert "all 20 edges have the similarity 0. If another column was meant" in said
    assert len(edges_in(path, column="fusion")) == 20


def test_matrix_market_in_zstd(tmp_path: Path) -> None:
    with pa.CompressedOutputStream(str(tmp_path / "e.mtx.zst"), "zstd") as file:
        file.write(b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 .5\n")
    assert edges_in(tmp_path / "e.mtx.zst") == {("0", "1"): 0.5}


@pytest.mark.parametrize("name", ["e.parquet.gz", "e.pq.zst", "e.h5ad.gz", "e.npz.gz"])
def test_binary_files_that_are_compressed_once_more(name: str, tmp_path: Path) -> None:
    TABLE.to_parquet(tmp_path / "e.parquet")
    path = written(tmp_path, name, gzip.compress((tmp_path / "e.parquet").read_bytes()))
    with pytest.raises(InvalidInputError, match=rf"{name} is compressed; decompress it first"):
        edges_in(path)


def test_one_similarity_for_all_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, "e.csv", "".join(f"{i},{i + 1},7\n" for i in range(20)))
    with pytest.warns(UserWarning, match=r"all 20 edges have the similarity 7\. If another column was meant"):
        edges_in(path)


# Folders of parquet parts


def in_parts(folder: Path, *names: str, tables: list[pd.DataFrame] | None = None) -> Path:
    """Write a row of the table into each of several files."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        part = TABLE.iloc[[i]] if tables is None else tables[i]
        part.to_parquet(folder / name, index=False)
    return folder


def test_parts_as_spark_writes_them(tmp_path: Path) -> None:
    folder = in_parts(
        tmp_path / "edges.parquet",
        "part-00000-7f2c-c000.snappy.parquet",
        "part-00001-7f2c-c000.snappy.parquet",
    )
    for name in ("_SUCCESS", "._SUCCESS.crc", ".part-00000-7f2c-c000.snappy.parquet.crc"):
        (folder / name).write_bytes(b"crc")
    assert edges_in(folder) == TWO
    assert edges_in(in_parts(tmp_path / "other name [1]", "part[0].pq", "part*.pq")) == TWO


def test_parts_as_dask_writes_them(tmp_path: Path) -> None:
    """With a summary of all parts, in which pyarrow repeats their schema."""
    table, folder = pa.Table.from_pandas(TABLE, preserve_index=False), tmp_path / "edges"
    collected: list[Any] = []
    pyarrow.parquet.write_to_dataset(table, folder, metadata_collector=collected)
    pyarrow.parquet.write_metadata(table.schema, folder / "_metadata", metadata_collector=collected)
    pyarrow.parquet.write_metadata(table.schema, folder / "_common_metadata")
    assert edges_in(folder) == TWO


def test_names_of_partitions_are_no_columns(tmp_path: Path) -> None:
    tables = [TABLE.iloc[[i]].assign(k=[k]) for i, k in enumerate((3.0, 4.0))]
    folder = in_parts(tmp_path / "edges", "k=15/part.0.parquet", "k=15/s=7/part.0.parquet", tables=tables)
    assert edges_in(folder, column="s") == TWO
    assert edges_in(folder, column="k") == {("A", "B"): 3, ("B", "C"): 4}
    assert edges_in(folder / "k=15", column="k") == {("A", "B"): 3, ("B", "C"): 4}


def test_partitions_by_what_no_file_has(tmp_path: Path) -> None:
    folder = in_parts(tmp_path / "edges", "metric=x/0.parquet", "metric=y/0.parquet")
    with pytest.warns(UserWarning, match=r"has folders of 2 values of 'metric' \(x, y\), which no column"):
        assert edges_in(folder) == TWO
    assert edges_in(folder / "metric=x") == ONE
    table = pa.table({"source": ["A", "B"], "target": ["B", "C"], "weight": [0.5, 0.25]})
    pyarrow.parquet.write_to_dataset(table, tmp_path / "by source", partition_cols=["source"])
    with pytest.raises(InvalidInputError, match=r"in the names of its folders \(source\)"):
        edges_in(tmp_path / "by source")


def test_parts_whose_columns_differ(tmp_path: Path) -> None:
    """A column of whole numbers in the first part does not cut the fractions of the second."""
    second = pd.DataFrame({"s": [0.25], "b": ["C"], "a": ["B"]})
    folder = in_parts(
        tmp_path / "edges", "0.parquet", "1.parquet", tables=[TABLE.iloc[[0]].assign(s=[1]), second]
    )
    assert edges_in(folder) == {("A", "B"): 1, ("B", "C"): 0.25}
    in_parts(folder, "2.parquet", tables=[TABLE.drop(columns="s")])
    with pytest.raises(InvalidInputError, match=r"The first: all of 2\.parquet, which has no column \"s\""):
        edges_in(folder)


def test_a_wrong_edge_is_named_with_its_part(tmp_path: Path) -> None:
    folder = in_parts(
        tmp_path / "edges", "0.parquet", "1.parquet", tables=[TABLE, TABLE.assign(s=[1.0, float("nan")])]
    )
    with pytest.raises(
        InvalidInputError, match=r"edges: 1 edges are wrong. The first: 1\.parquet, row 1 \(B, C, None\)"
    ):
        edges_in(folder)


@pytest.mark.parametrize(
    ("beside", "text"),
    [
        ("_delta_log", "is a table of Delta Lake, which lists the files that count in _delta_log"),
        (".hoodie", "is a table of Hudi"),
        ("_temporary", "as while Spark writes, or after it failed: parts may be missing"),
    ],
)
def test_folders_of_which_not_all_files_count(beside: str, text: str, tmp_path: Path) -> None:
    folder = in_parts(tmp_path / "edges", "0.parquet", "1.parquet")
    (folder / beside).mkdir()
    with pytest.raises(InvalidInputError, match=text):
        edges_in(folder)


def test_a_folder_without_parts_is_none(tmp_path: Path) -> None:
    (tmp_path / "edges" / "_hidden").mkdir(parents=True)
    TABLE.to_parquet(tmp_path / "edges" / "_hidden" / "e.parquet")
    with pytest.raises(InvalidInputError, match="There is no zarr group or array"):
        edges_in(tmp_path / "edges")


# Whole numbers with gaps


GENES = "672\t7157\t.5\n7157\t4609\t.25\n"
GENE_EDGES = {("672", "7157"): 0.5, ("7157", "4609"): 0.25}


def points_in(folder: Path) -> list[str]:
    """Return the names of the points of the graph that was read last; none for numbers."""
    group = zarr.open_group(folder / "read.zarr", mode="r")
    return [str(name) for name in group["ids"][:]] if "ids" in group else []


def test_numbers_with_gaps_are_names(tmp_path: Path) -> None:
    path = written(tmp_path, "e.tsv", GENES)
    with pytest.warns(UserWarning, match=r"from 0 to 7,157 only 3 occur.*7,155 points have no edge then"):
        assert edges_in(path) == GENE_EDGES
    assert points_in(tmp_path) == ["672", "4609", "7157"]
    pd.read_csv(path, sep="\t", header=None).set_axis(["a", "b", "s"], axis=1).to_parquet(
        tmp_path / "e.parquet"
    )
    with pytest.warns(UserWarning, match="only 3 occur"):
        assert edges_in(tmp_path / "e.parquet") == GENE_EDGES
    assert points_in(tmp_path) == ["672", "4609", "7157"]


@pytest.mark.parametrize("options", [{"ids": "integer"}, {"n_points": 7158}])
def test_numbers_with_gaps_are_numbers_if_that_is_said(options: Any, tmp_path: Path) -> None:
    assert edges_in(written(tmp_path, "e.tsv", GENES), **options) == GENE_EDGES
    assert points_in(tmp_path) == []
    assert read_graph(tmp_path / "read.zarr").shape == (7158, 7158)


def test_few_gaps_leave_numbers_and_are_told(tmp_path: Path) -> None:
    """Such as numbers from 1: point 0 has no edge."""
    with pytest.warns(UserWarning, match=r"the numbers from 0 to 3, of which 1 have no edge"):
        assert edges_in(written(tmp_path, "e.tsv", "1\t2\t.5\n2\t3\t.25\n")) == {
            ("1", "2"): 0.5,
            ("2", "3"): 0.25,
        }
    assert points_in(tmp_path) == []
    assert edges_in(written(tmp_path, "e.tsv", "0\t1\t.5\n"), ids="auto") == {("0", "1"): 0.5}


@pytest.mark.parametrize("late", ["007", "00", "123456789012345678901234567890", "3000000000"])
def test_a_late_id_that_is_no_number_of_a_point(late: str, tmp_path: Path) -> None:
    """Beyond the first lines, from which the kind of ids is found: 007 and 7 are two names."""
    lines = [f"{i}\t{i + 1}\t.5\n" for i in range(150)]
    path = written(tmp_path, "e.tsv", "".join([*lines, f"7\t{late}\t.25\n"]))
    with pytest.warns(UserWarning, match="some with zeros before them or larger than the number of a point"):
        edges = edges_in(path)
    assert edges[("7", late)] == 0.25
    assert len(edges) == 151
    names = points_in(tmp_path)
    assert names == sorted(names, key=lambda name: (int(name), name))
    assert set(names) == {*map(str, range(151)), late}


def test_names_that_are_numbers_are_sorted_as_such(tmp_path: Path) -> None:
    content = "10 9 .5\n100 9 .25\n"
    edges_in(written(tmp_path, "e.abc", content))
    assert points_in(tmp_path) == ["9", "10", "100"]
    edges_in(written(tmp_path, "e.abc", content), ids="string")
    assert points_in(tmp_path) == ["10", "100", "9"]
