"""Random matrices in every layout of scipy, numpy and anndata: read as these read them, or refused."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sparse_ap import DamagedGraphError, InvalidInputError
from sparse_ap.clustering.input import open_input
from sparse_ap.graphs import read_graph, write_graph
from sparse_ap.kernels.block import RowCut
from sparse_ap.storage.store import block_of

Edges = dict[tuple[int, int], float]

FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]
DTYPES = ["f8", "f4", ">f4", "f2", "g", "i8", "i4", "u2", "i1", "?"]
ANSWERS: Counter[str] = Counter()


@dataclass(frozen=True)
class Entries:
    """Entries of a square matrix, in any order, perhaps several at one place.

    Attributes
    ----------
    n : int
    rows, columns, values : ndarray
    """

    n: int
    rows: Any
    columns: Any
    values: Any

    @property
    def distinct(self) -> bool:
        """Whether no place has two entries."""
        return len(set(zip(self.rows.tolist(), self.columns.tolist(), strict=True))) == len(self.rows)


@st.composite
def entries(draw: st.DrawFn, dtypes: list[str] = DTYPES) -> Entries:
    n, dtype = draw(st.integers(1, 9)), np.dtype(draw(st.sampled_from(dtypes)))
    numbers = {"f": st.floats(-1000, 1000, width=16) | st.sampled_from([0.0, -0.0]), "?": st.booleans()}
    whole = st.integers(0 if dtype.kind == "u" else -100, 100)
    places = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    found = draw(
        st.lists(st.tuples(places, numbers.get(dtype.kind if dtype.kind != "b" else "?", whole)), max_size=30)
    )
    if draw(st.booleans()):
        found = list(dict(found).items())
    rows, columns = (np.array([place[axis] for place, _ in found], np.int64) for axis in (0, 1))
    return Entries(n, rows, columns, np.array([value for _, value in found], dtype))


def largest(rows: Any, columns: Any, values: Any) -> Edges:
    """Return the edges: of entries at one place the largest, and none on the diagonal."""
    edges: Edges = {}
    for i, k, s in zip(rows.tolist(), columns.tolist(), np.asarray(values, float).tolist(), strict=True):
        if i != k and s > -math.inf:
            edges[i, k] = max(s, edges.get((i, k), -math.inf))
    return edges


def edges_of(matrix: Any) -> Edges:
    """Return the edges of a sparse matrix, as scipy lists its entries."""
    coo = matrix.tocoo()
    return largest(*coo.coords, coo.data)


def of_store(store: Any) -> Edges:
    block = block_of(store.canonical(), RowCut(0, len(store.indptr) - 1))
    indptr, indices, data = block.csr
    return largest(np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices, data)


def in_memory(given: Any) -> Edges:
    """Return the edges that `affinity_propagation` clusters."""
    return of_store(open_input(given).store)


def written(source: Any, folder: Path, **options: Any) -> Edges:
    """Return the edges that `write_graph` writes."""
    target = folder / "g.zarr"
    write_graph(source, target, overwrite=True, dtype=np.float64, **options)
    return edges_of(read_graph(target))


def compare(read: Callable[[], Edges], expected: Edges, reason: str | None, kind: str) -> None:
    """Read by us: what is expected or, only where there is a ``reason``, a refusal that says it."""
    found, refusal = None, ""
    try:
        found = read()
    except (InvalidInputError, DamagedGraphError) as error:
        refusal = str(error)
    ANSWERS[f"{kind} {'refused' if refusal else 'read'}"] += 1
    if reason is None:
        assert refusal == ""
        assert found == expected
    else:
        assert reason in refusal


def matrix_of(drawn: Entries, format: str, container: str, data: st.DataObject) -> Any:
    """Return the entries in a format of scipy, which adds up duplicates where a format cannot hold them."""
    kind, dtype = getattr(scipy.sparse, f"{format}_{container}"), drawn.values.dtype
    if dtype in ("f2", ">f4"):
        # scipy takes these types only once a matrix is made.
        matrix = matrix_of(replace(drawn, values=drawn.values.astype("f4")), format, container, data)
        matrix.data = matrix.data.astype(dtype)
        return matrix
    if format in ("csr", "csc"):
        by, ids = (drawn.rows, drawn.columns) if format == "csr" else (drawn.columns, drawn.rows)
        order = np.argsort(by, kind="stable")
        indptr = np.searchsorted(by[order], np.arange(drawn.n + 1))
        matrix = kind((drawn.values[order], ids[order], indptr), shape=(drawn.n, drawn.n))
    else:
        coo = scipy.sparse.coo_array((drawn.values, (drawn.rows, drawn.columns)), shape=(drawn.n, drawn.n))
        matrix = kind(coo if format != "bsr" else coo.tocsr())
        if format == "bsr" and data.draw(st.booleans()):
            sizes = [size for size in (1, 2, 3) if drawn.n % size == 0]
            matrix = kind(coo.tocsr(), blocksize=(data.draw(st.sampled_from(sizes)),) * 2)
    if format in ("csr", "csc", "bsr") and data.draw(st.booleans()):
        matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def reason_of(matrix: Any) -> str | None:
    """Return why a matrix has two meanings: zeros of blocks and diagonals are edges, or fill them up."""
    if matrix.format == "bsr" and matrix.blocksize != (1, 1) and (matrix.data == 0).any():
        return "may be edges of similarity 0"
    if matrix.format == "dia":
        # Places of a diagonal beyond the matrix are no entries.
        n, column = matrix.shape[0], np.arange(matrix.data.shape[1])
        row = column - matrix.offsets[:, None]
        if ((matrix.data == 0) & (row >= 0) & (row < n) & (column < n)).any():
            return "may be edges of similarity 0"
    return None


def content(matrix: Any) -> list[bytes]:
    """Return the bytes of a matrix, which is not to be written to."""
    if matrix.format in ("lil", "dok"):
        matrix = matrix.tocoo()
    names = ("data", "indices", "indptr", "offsets", "row", "col")
    return [getattr(matrix, name).tobytes() for name in names if hasattr(matrix, name)]


@pytest.fixture(scope="module", autouse=True)
def answers() -> Iterator[None]:
    yield
    print("\n", dict(ANSWERS))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@examples(400, quick=12)
@given(data=st.data())
def test_matrices_of_scipy(
    format: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # scipy's own formats add up duplicates of these types alone.
    held = DTYPES if format in ("csr", "csc", "coo") else ["f8", "f4", "i8", "i4", "u2", "i1", "?"]
    drawn = data.draw(entries(held))
    matrix = matrix_of(drawn, format, data.draw(st.sampled_from(["array", "matrix"])), data)
    if format in ("csr", "csc", "coo"):
        expected = largest(drawn.rows, drawn.columns, drawn.values)
    else:
        expected = edges_of(matrix)
    before = content(matrix)
    compare(lambda: in_memory(matrix), expected, reason_of(matrix), format)
    if data.draw(st.integers(0, 4)) == 0:
        compare(lambda: written(matrix, tmp_path_factory.getbasetemp()), expected, reason_of(matrix), format)
    assert content(matrix) == before


@examples(400, quick=12)
@given(drawn=entries(), masked=st.booleans(), order=st.sampled_from("CF"), nested=st.booleans())
def test_dense_arrays(drawn: Entries, masked: bool, order: Any, nested: bool) -> None:
    values = np.zeros((drawn.n, drawn.n), drawn.values.dtype, order)
    values[drawn.rows, drawn.columns] = drawn.values
    known = np.zeros(values.shape, bool)
    known[drawn.rows, drawn.columns] = True
    i, k = np.nonzero(known | (not masked))
    given: Any = np.ma.masked_array(values, ~known) if masked else values
    compare(lambda: in_memory(list(given) if nested else given), largest(i, k, values[i, k]), None, "dense")


def saved(drawn: Entries, kind: str, folder: Path, data: st.DataObject) -> tuple[Path, Any]:
    """Write a file by scipy or numpy; return its path, and the matrix that the library reads."""
    path = folder / f"m.{kind}"
    if kind == "npz":
        # scipy saves these formats.
        format = data.draw(st.sampled_from(["csr", "csc", "coo", "bsr", "dia"]))
        matrix = matrix_of(drawn, format, data.draw(st.sampled_from(["array", "matrix"])), data)
        scipy.sparse.save_npz(path, matrix, compressed=data.draw(st.booleans()))
        return path, scipy.sparse.load_npz(path)
    coo = scipy.sparse.coo_array((drawn.values, (drawn.rows, drawn.columns)), shape=(drawn.n, drawn.n))
    if kind == "npy":
        np.save(path, coo.toarray())
        return path, coo
    if data.draw(st.booleans()):
        coo = (coo + coo.T).tocoo()
    field = data.draw(st.sampled_from([None, None, "pattern"]))
    symmetry = data.draw(st.sampled_from([None, "general"]))
    scipy.io.mmwrite(path, coo, comment="made by a test\nD", field=field, symmetry=symmetry)
    return path, scipy.io.mmread(path)


@pytest.mark.parametrize("kind", ["npz", "mtx", "npy"])
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@examples(300, quick=6)
@given(data=st.data())
def test_files_of_scipy(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    drawn = data.draw(entries(["f8", "f4", "i8", "i4", "u2", "i1"]))
    path, theirs = saved(drawn, kind, folder, data)
    reason = "graphs are read from" if kind == "npy" else reason_of(theirs)
    compare(lambda: written(path, folder), edges_of(theirs), reason, kind)
    if kind == "npz":
        compare(lambda: in_memory(path), edges_of(theirs), reason, kind)


INDEXES = ["text", "numbers", "categories", "nullable", "arrow"]


def index_of(kind: str, n: int) -> Any:
    names = [f"cell {i}" for i in range(n)]
    if kind == "numbers":
        return pd.Index(list(map(str, range(n))))
    if kind == "categories":
        return pd.CategoricalIndex(names)
    types = {"nullable": "string[python]", "arrow": "string[pyarrow]"}
    return pd.Index(names, dtype=types.get(kind, object))


def old_encoding(path: Path, name: str, style: str) -> None:
    """Write the attributes of a matrix as older versions of anndata, and other programs, did."""
    with h5py.File(path, "r+") as file:
        attributes = file[f"obsp/{name}"].attrs
        if style == "bytes":
            for key in ("encoding-type", "encoding-version"):
                attributes[key] = np.bytes_(attributes[key])
        elif style == "h5sparse":
            attributes["h5sparse_format"] = np.bytes_(attributes["encoding-type"].removesuffix("_matrix"))
            attributes["h5sparse_shape"] = attributes["shape"]
            for key in ("encoding-type", "encoding-version", "shape"):
                del attributes[key]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Element '/obsp/likeness' was written without encoding")
@pytest.mark.slow
@pytest.mark.parametrize("store", ["h5ad", "zarr 2", "zarr 3"])
@examples(60, quick=5)
@given(data=st.data())
def test_layouts_of_anndata(
    store: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cells")
    drawn = data.draw(entries(["f8", "f4", "i8", "i4"]))
    drawn.values[drawn.values == 0] = 0  # No -0.0, which is a zero to some versions of zarr only.
    layout = data.draw(st.sampled_from(["csr", "csr", "csc", "csc", "dense"]))
    container = data.draw(st.sampled_from(["array", "matrix"]))
    index = index_of(data.draw(st.sampled_from(INDEXES)), drawn.n)
    cells = anndata.AnnData(np.zeros((drawn.n, 1), np.float32), obs=pd.DataFrame(index=index))
    matrix = matrix_of(drawn, "csr" if layout == "dense" else layout, container, data)
    cells.obsp["likeness"] = matrix.toarray() if layout == "dense" else matrix
    path = folder / f"cells.{store.partition(' ')[0]}"
    with anndata.settings.override(allow_write_nullable_strings=True):
        if store == "h5ad":
            cells.write_h5ad(path, compression=data.draw(st.sampled_from([None, "gzip", "lzf"])))
        else:
            with anndata.settings.override(zarr_write_format=int(store[-1])):
                cells.write_zarr(path)
    if store == "h5ad" and layout != "dense":
        old_encoding(path, "likeness", data.draw(st.sampled_from(["new", "bytes", "h5sparse"])))
    theirs = (anndata.read_h5ad if store == "h5ad" else anndata.read_zarr)(path).obsp["likeness"]
    if layout == "dense":
        everywhere = np.nonzero(np.ones(theirs.shape))
        expected, reason = largest(*everywhere, theirs[everywhere]), "likeness"
    else:
        expected, reason = edges_of(theirs), None
        if store != "h5ad" and not all(part.any() for part in (theirs.data, theirs.indices, theirs.indptr)):
            # Chunks of zeros alone are not stored, and look like chunks that got lost.
            reason = "is missing"
    compare(lambda: written(path, folder, key="likeness"), expected, reason, f"{store} {layout}")
    if store != "h5ad" and layout != "dense":
        refused = "stored by columns" if layout == "csc" else reason
        compare(
            lambda: edges_of(read_graph(path / "obsp" / "likeness")), expected, refused, f"{store} opened"
        )
