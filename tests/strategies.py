"""Hypothesis strategies for similarity graphs, and for all that a similarity graph may be given as."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse
from hypothesis import strategies as st

NUMBERS = ["f8", "f4", "f2", "g", ">f8", ">f4", "i1", "i4", "i8", ">i4", "u2", "u8", "?"]
# What scipy constructs, rather than what it can be made to hold.
NATIVE = ["f8", "f4", "g", "i1", "i4", "i8", "u2", "u8", "?"]
SPECIALS = [0.0, -0.0, -np.inf, np.inf, np.nan, 1e30, -1e30, 3e38, -1e38, 1e300, -1e99, 5e-324, -1e-40, -7.0]


@st.composite
def graphs(draw: Any, max_points: int = 30, dtype: Any = np.float64) -> scipy.sparse.csr_array:
    """Directed graphs of any density, with ties, zeros, one-way edges and isolated points; no diagonal."""
    n = draw(st.integers(1, max_points))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    levels = draw(st.sampled_from([2, 7, 10**6]))
    similarity = -rng.integers(0, levels, (n, n)) / 4
    if draw(st.booleans()):
        similarity = np.minimum(similarity, similarity.T)
    stored = rng.random((n, n)) < density
    np.fill_diagonal(stored, False)
    rows, columns = np.nonzero(stored)
    return scipy.sparse.csr_array(
        scipy.sparse.coo_array((similarity[stored].astype(dtype), (rows, columns)), shape=(n, n))
    )


@dataclass(frozen=True, eq=False)
class Entries:
    """The stored entries of a graph, in the order stored: what the tests compare answers with."""

    n: int
    rows: Any
    columns: Any
    values: Any

    def chosen(self, which: Any) -> Entries:
        return Entries(self.n, self.rows[which], self.columns[which], self.values[which])

    def unique(self) -> Entries:
        """The first of duplicates."""
        return self.chosen(np.sort(np.unique(self.rows * self.n + self.columns, return_index=True)[1]))


@dataclass(frozen=True, eq=False)
class Given:
    """Something to cluster.

    Attributes
    ----------
    similarity : Any
        What is given.
    entries : Entries or None
        What is stored in it; None where it is no graph at all.
    words : tuple of str
        One of them must be in the text of the refusal of what is no graph.
    dense : bool
        Whether every entry is stored, so that the median is taken as for an ndarray.
    how : str
        For failures to be read.
    """

    similarity: Any
    entries: Entries | None
    words: tuple[str, ...] = ()
    dense: bool = False
    how: str = ""

    def __repr__(self) -> str:
        return f"<{self.how}: {self.similarity!r} {self.entries}>"

    def arrays(self) -> list[Any]:
        """The arrays that nobody may write to."""
        names = ("data", "indices", "indptr", "coords", "offsets")
        if not scipy.sparse.issparse(self.similarity):
            return [self.similarity] if isinstance(self.similarity, np.ndarray) else []
        parts = [getattr(self.similarity, name, ()) for name in names]
        return [a for part in parts for a in (part if isinstance(part, tuple) else (part,))]


def _plain(rng: np.random.Generator, size: int) -> Any:
    return -rng.random(size)


PALETTES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "plain": _plain,
    "ties": lambda rng, size: -rng.integers(0, 3, size) / 4,
    "equal": lambda rng, size: np.full(size, -1.0),
    "zero": lambda rng, size: rng.choice([0.0, -0.0], size),
    "positive": lambda rng, size: rng.random(size),
    "mixed signs": lambda rng, size: rng.normal(size=size) * 100,
    "wide": lambda rng, size: -(10.0 ** rng.uniform(-12, 12, size)),
    "1e29": lambda rng, size: -1e29 * rng.random(size),
    "1e99": lambda rng, size: 1e99 * rng.uniform(-1, 1, size),
    "1e38": lambda rng, size: -1e38 * rng.random(size),
    "1e300": lambda rng, size: rng.choice([-1e300, 1.7e308, -1.7e308, 1e299], size),
    "denormal": lambda rng, size: -5e-324 * rng.integers(0, 9, size),
    "denormal float32": lambda rng, size: -1.4e-45 * rng.integers(0, 9, size),
}


def values_of(dtype: np.dtype[Any], palette: str, rng: np.random.Generator, size: int) -> Any:
    """Random numbers of a type: integers from all of its range or near 0, floats of a palette."""
    if dtype.kind == "b":
        return rng.random(size) < 0.5
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if palette not in ("1e29", "1e38", "1e99", "1e300"):
            low, high = max(low, -3), min(high, 3)
        return rng.integers(low, high, size, dtype.newbyteorder("="), endpoint=True).astype(dtype)
    with np.errstate(all="ignore"):
        return PALETTES[palette](rng, size).astype(dtype)


@st.composite
def entries(draw: Any, dtypes: list[str], full: bool = False, max_points: int = 40) -> Entries:
    """Stored entries of any kind of numbers: diagonal, duplicates, specials, in any order."""
    n = draw(st.one_of(st.integers(0, 6), st.integers(0, max_points)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = 1.0 if full else draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    stored = rng.random((n, n)) < density
    if not full and draw(st.booleans()):
        np.fill_diagonal(stored, False)
    rows, columns = np.nonzero(stored)
    if not full and draw(st.booleans()):
        order = rng.permutation(len(rows))
        rows, columns = rows[order], columns[order]
    if not full and len(rows) and draw(st.booleans()):
        again = rng.integers(0, len(rows), draw(st.integers(0, 5)))
        rows, columns = np.append(rows, rows[again]), np.append(columns, columns[again])
    values = values_of(dtype, draw(st.sampled_from(sorted(PALETTES))), rng, len(rows))
    if dtype.kind == "f" and len(rows):
        wild = st.tuples(st.integers(0, len(rows) - 1), st.sampled_from(SPECIALS))
        with np.errstate(all="ignore"):
            for place, value in draw(st.one_of(st.just([]), st.lists(wild, max_size=3))):
                values[place] = value
            if draw(st.booleans()):
                values[rows == columns] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e20]))
    return Entries(n, rows, columns, values)


def compressed(e: Entries, format: str, ids: str = "i4", cls: str = "array") -> Any:
    """CSR or CSC with entries, ids and types as they are, whatever scipy would have made of them."""
    major, minor = (e.rows, e.columns) if format == "csr" else (e.columns, e.rows)
    order = np.argsort(major, kind="stable")
    matrix = getattr(scipy.sparse, f"{format}_{cls}")((e.n, e.n))
    matrix.data, matrix.indices = e.values[order].copy(), minor[order].astype(ids)
    counts = np.bincount(major, minlength=e.n)[: e.n]
    matrix.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(ids)
    return matrix


def coo(e: Entries, cls: str = "array") -> Any:
    matrix = getattr(scipy.sparse, f"coo_{cls}")((e.n, e.n))
    matrix.coords, matrix.data = (e.rows.astype("i4"), e.columns.astype("i4")), e.values.copy()
    matrix.has_canonical_format = False
    return matrix


def dia(e: Entries, cls: str) -> tuple[Any, Entries | None]:
    """Diagonals cannot tell a stored zero from none: with zeros they are no graph."""
    e = e.unique()
    offsets = np.unique(e.columns - e.rows)
    data = np.zeros((len(offsets), e.n), e.values.dtype)
    data[np.searchsorted(offsets, e.columns - e.rows), e.columns] = e.values
    matrix = getattr(scipy.sparse, f"dia_{cls}")((data, offsets), shape=(e.n, e.n))
    n_places = sum(e.n - abs(int(offset)) for offset in offsets)
    return matrix, e if np.count_nonzero(e.values) == n_places else None


def bsr(e: Entries, cls: str, size: int) -> tuple[Any, Entries | None]:
    """Blocks cannot tell a stored zero from none, unless of one entry: with zeros they are no graph."""
    e = e.unique()
    if e.n % size:
        size = 1
    blocks = np.unique((e.rows // size) * e.n + e.columns // size)
    down, right = np.divmod(blocks, max(1, e.n))
    data = np.zeros((len(blocks), size, size), e.values.dtype)
    place = np.searchsorted(blocks, (e.rows // size) * e.n + e.columns // size)
    data[place, e.rows % size, e.columns % size] = e.values
    indptr = np.concatenate([[0], np.cumsum(np.bincount(down, minlength=e.n // size))])
    matrix = getattr(scipy.sparse, f"bsr_{cls}")((data, right, indptr), shape=(e.n, e.n))
    return matrix, e if size == 1 or data.all() else None


@st.composite
def sparse_graphs(draw: Any) -> Given:
    """Scipy sparse matrices and arrays of every format, entries of every type; good structure."""
    format = draw(st.sampled_from(["csr", "csr", "csr", "csc", "coo", "lil", "dok", "bsr", "dia"]))
    cls = draw(st.sampled_from(["array", "matrix"]))
    e = draw(entries(NUMBERS if format in ("csr", "csc", "coo") else NATIVE))
    how = f"{format}_{cls} {e.values.dtype}"
    if format in ("csr", "csc"):
        ids = draw(st.sampled_from(["i4", "i8", "u4", "u8", "i2", ">i4"]))
        return Given(compressed(e, format, ids, cls), e, how=f"{how} ids {ids}")
    if format == "coo":
        return Given(coo(e, cls), e, how=how)
    if format == "dia" and e.n:
        return Given(*dia(e, cls), ("'dia'",), how=how)
    if format == "bsr" and e.n:
        return Given(*bsr(e, cls, draw(st.sampled_from([1, 2]))), ("'bsr'",), how=how)
    e = e.unique()
    return Given(coo(e, cls).asformat(format if format in ("lil", "dok") else "csr"), e, how=how)


def _spoil_ids(matrix: Any, name: str, to: int) -> Any:
    if name == "coords":
        coords = [ids.astype(np.int64) for ids in matrix.coords]
        coords[to % 2][-1] = to
        matrix.coords = tuple(coords)
    else:
        matrix.indices = matrix.indices.astype(np.int64)
        matrix.indices[-1] = to
    return matrix


def _spoil_indptr(matrix: Any, how: str) -> Any:
    indptr = matrix.indptr.copy()
    if how == "falls":
        indptr[1] = indptr[-1] + 1
    elif how == "too large":
        indptr[-1] += 1
    elif how == "begins late":
        indptr[0] = 1
    elif how == "fractions":
        indptr = indptr + 0.5
    matrix.indptr = {"short": indptr[:-1], "long": np.append(indptr, indptr[-1])}.get(how, indptr)
    return matrix


@st.composite
def broken_sparse(draw: Any) -> Given:
    """Sparse matrices that are no graph: index arrays that do not fit, no numbers, not square."""
    e = draw(entries(NUMBERS).filter(lambda e: len(e.rows) > 0))
    format = draw(st.sampled_from(["csr", "csc", "coo"]))
    matrix = coo(e) if format == "coo" else compressed(e, format, draw(st.sampled_from(["i4", "i8"])))
    hows = ["id", "dtype", "data short", "shape"]
    if format != "coo":
        hows += ["indptr"] * 4 + ["ids are fractions"]
    how = draw(st.sampled_from(hows))
    words: tuple[str, ...]
    if how == "id":
        to = draw(st.sampled_from([e.n, e.n + 1, -1, -2, 2**31, 2**32, -(2**40) - 1, 2**62]))
        matrix, words = _spoil_ids(matrix, "coords" if format == "coo" else "indices", to), (" id ",)
    elif how == "indptr":
        which = draw(
            st.sampled_from(["falls", "too large", "begins late", "fractions", "short", "long"]),
        )
        matrix, words, how = _spoil_indptr(matrix, which), ("indptr",), f"indptr {which}"
    elif how == "ids are fractions":
        matrix.indices, words = matrix.indices + 0.5, ("indices",)
    elif how == "data short":
        matrix.data, words = matrix.data[:-1], ("similarities",)
    elif how == "shape":
        matrix, words = scipy.sparse.coo_array((e.n + 1, e.n)).asformat(format), ("shape",)
    else:
        values = {"O": e.values.astype(object), "c8": np.zeros(len(e.rows), "c8"), "U": e.values.astype("U9")}
        matrix.data, words = values[draw(st.sampled_from(sorted(values)))], ("dtype",)
    return Given(matrix, None, words, how=f"{format} {how}")


def _memory_mapped(array: Any) -> Any:
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    return mapped


def _matrix(array: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.asmatrix(array)


def _strided(array: Any) -> Any:
    wide = np.zeros((2 * len(array), 3 * len(array)), array.dtype)
    wide[::2, 1::3] = array
    return wide[::2, 1::3]


def _read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda array: array,
    "fortran": np.asfortranarray,
    "strided": _strided,
    "backwards": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "read-only": _read_only,
    "memory-mapped": lambda array: _memory_mapped(array) if array.size else array,
    "matrix": _matrix,
    "list": lambda array: array.tolist() if len(array) else array,
    "rows": lambda array: list(array) if len(array) else array,
    "tuple": lambda array: tuple(map(tuple, array.tolist())) if len(array) else array,
}


@st.composite
def dense_graphs(draw: Any) -> Given:
    """Square arrays of every type and layout, and lists."""
    e = draw(entries(NUMBERS, full=True, max_points=25))
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    array = e.values.reshape(e.n, e.n).copy()
    given = LAYOUTS[layout](array)
    if layout in ("list", "tuple") and e.n:
        # Python's numbers carry no type.
        e = replace(e, values=np.asarray(array.tolist()).ravel())
    return Given(given, e, dense=True, how=f"dense {layout} {e.values.dtype}")
