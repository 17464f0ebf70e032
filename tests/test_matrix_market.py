"""Files of Matrix Market: every number is read as it is written, or its line is refused."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sparse_ap import InvalidInputError
from sparse_ap.graphs.conversion.matrix_market import FIELDS, are_right, read_matrix_market

POSITIONS = r"[ \t]*[0-9]+[ \t]+[0-9]+"
WHOLE = r"[ \t]+[+-]?[0-9]+"
NUMBER = r"[ \t]+[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?|(?i:inf|infinity|nan))"
VALUES = {"pattern": "", "integer": WHOLE, "unsigned-integer": WHOLE, "real": NUMBER, "double": NUMBER}
PIECES = ["1", "23", " ", "  ", "\t", "\n", "\n", "1 2 .5\n", "7 8", ".", ".5", "e", "D", "+", "-", "5.0D-1",
          "1e5", "inf", "nan", "Infinity", ",", "x", "%", "0"]  # fmt: skip


def file_of(folder: Path, lines: str, field: str = "real", symmetry: str = "general", size: int = 9) -> Path:
    n = len([line for line in lines.splitlines() if line.strip()])
    path = folder / "m.mtx"
    path.write_text(
        f"%%MatrixMarket matrix coordinate {field} {symmetry}\n% c D+1\n\n%\n{size} {size} {n}\n{lines}"
    )
    return path


def entries(matrix: Any) -> list[tuple[int, int, float]]:
    coo = matrix.tocoo()
    return sorted(zip(*(ids.tolist() for ids in coo.coords), coo.data.tolist(), strict=True))


@examples(2000)
@given(st.sampled_from(sorted(FIELDS)), st.lists(st.sampled_from(PIECES), max_size=40))
def test_the_automaton_finds_what_a_pattern_finds(field: str, pieces: list[str]) -> None:
    lines = "".join(pieces) + "\n"
    right = re.fullmatch(rf"(?:(?:{POSITIONS}{VALUES[field]})?[ \t]*\n)*", lines) is not None
    assert are_right(lines.encode(), field) == right


NUMBERS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: abs(x) < 1e300)


@examples(200)
@given(
    triplets=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), NUMBERS), min_size=1), data=st.data()
)
def test_every_number_is_read_as_it_is_written(
    triplets: list[Any], data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forms = ["{!r}", "{:.17e}", "{:+.17E}", "{:.17e}", "{:+.17g}"]
    lines = ""
    for row, column, value in triplets:
        text = data.draw(st.sampled_from(forms)).format(value)
        if data.draw(st.booleans()):
            text = text.replace("e", "D").replace("E", "d")
        gap, end = (
            data.draw(st.sampled_from([" ", "  ", "\t"])),
            data.draw(st.sampled_from(["\n", " \n", "\n\n"])),
        )
        lines += f"{row}{gap}{column}{gap}{text}{end}"
    path = file_of(tmp_path_factory.mktemp("numbers"), lines)
    expected = sorted((row - 1, column - 1, value) for row, column, value in triplets)
    assert entries(read_matrix_market(path)) == expected


@pytest.mark.parametrize(
    ("field", "lines", "line"),
    [
        # scipy takes 5, 1 and 1 without a word.
        ("integer", "1 2 5\n2 3 5.5\n", "line 7 ('2 3 5.5') is no entry; a row, a column and a whole number"),
        ("integer", "1 2 1e3\n", "line 6 ('1 2 1e3')"),
        ("pattern", "1 2 0.5\n", "line 6 ('1 2 0.5') is no entry; a row and a column are needed, since the "),
        ("real", "1 2 .5\n2 3 0,5\n", "line 7 ('2 3 0,5') is no entry; a row, a column and a number"),
        ("real", "1 2 .5 7\n", "line 6 ('1 2 .5 7')"),
        ("real", "1 2 0x10\n", "line 6 ('1 2 0x10')"),
        ("double", "1 2\n", "line 6 ('1 2')"),
        ("real", "1 2 .5\n% c\n", "line 7 ('% c')"),
        ("real", "1 2 .5\n" * 300_000 + "1 2 .5.5\n" + "1 2 .5\n" * 300_000, "line 300006 ('1 2 .5.5')"),
    ],
)  # fmt: skip
def test_lines_that_are_no_entries(field: str, lines: str, line: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, lines, field)
    with pytest.raises(InvalidInputError, match=f"^{re.escape(f'{path}: {line}')}"):
        read_matrix_market(path)


@pytest.mark.parametrize(
    ("field", "symmetry", "lines", "expected"),
    [
        ("integer", "general", "1 2 +5\n2 1 -3\n", [(0, 1, 5), (1, 0, -3)]),
        ("pattern", "symmetric", "2 1\n3 3\n", [(0, 1, 1), (1, 0, 1), (2, 2, 1)]),
        ("real", "skew-symmetric", "2 1 .5\n", [(0, 1, -0.5), (1, 0, 0.5)]),
        ("REAL", "Symmetric", "2 1 5.0D-1", [(0, 1, 0.5), (1, 0, 0.5)]),
        ("real", "general", "1 2 .5\n1 2 .25\n9 1 0\n", [(0, 1, 0.25), (0, 1, 0.5), (8, 0, 0)]),
        ("real", "general", "", []),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_kinds_of_files(
    field: str, symmetry: str, lines: str, expected: Any, packed: bool, ends: str, tmp_path: Path
) -> None:
    path = file_of(tmp_path, lines.replace("\n", ends), field, symmetry)
    if packed:
        (tmp_path / "m.mtx.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = tmp_path / "m.mtx.gz"
    assert entries(read_matrix_market(path)) == expected


def test_comments_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "m.mtx"
    comments = "% a long comment\n" * 300_000
    path.write_text(f"%%MatrixMarket matrix coordinate real general\n{comments}3 3 1\n1 2 .5\n")
    assert entries(read_matrix_market(path)) == [(0, 1, 0.5)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "%%MatrixMarket matrix coordinate real general\n",
        "1 2 .5\n",
        "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n",
        "%%MatrixMarket matrix coordinate quaternion general\n2 2 1\n1 1 1\n",
    ],
)
def test_what_is_no_sparse_matrix_of_matrix_market(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.mtx").write_text(text)
    with pytest.raises(InvalidInputError, match=r"m\.mtx"):
        read_matrix_market(tmp_path / "m.mtx")


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_what_scipy_writes_of_many_blocks(dtype: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 5000, (2, 500_000))
    values = rng.integers(0, 200, 500_000) if np.dtype(dtype).kind in "iu" else rng.normal(size=500_000)
    matrix = scipy.sparse.coo_array((values.astype(dtype), (rows, columns)), shape=(5000, 5000))
    scipy.io.mmwrite(tmp_path / "m.mtx", matrix)
    found = read_matrix_market(tmp_path / "m.mtx")
    assert (found.coords[0] == rows).all()
    assert (found.coords[1] == columns).all()
    assert (found.data.astype(dtype) == matrix.data).all()
