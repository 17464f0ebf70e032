"""Links between nodes, counted in one reading: what does not fit into memory is kept in files, by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from sparse_ap.clustering.cluster_graph import LinkRows
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import Int32Array, Int64Array
from sparse_ap.kernels.coarsening import Links, Pairs
from sparse_ap.kernels.edge_pass import LabelVectors, Pass

__all__ = ["counted_once"]

# Largest number of ranges of rows, each a file.
_MOST_FILES = 1000
# While edges are counted no number of pairs in `Links` halves its range.
_ANY = 1 << 62


def counted_once(
    graph: BlockedGraph,
    begin: Callable[[Links], Pass[LabelVectors, tuple[()], Links]],
    label: Int32Array,
    n_nodes: int,
    most: int,
    folder: Path,
) -> Iterator[LinkRows]:
    """Yield the weights of links between nodes, one range of nodes after the other, from one reading.

    Parameters
    ----------
    graph : BlockedGraph
        In this process's memory or on its disk.
    begin, label
        As of `sparse_ap.clustering.cluster_graph.counted`.
    n_nodes : int
    most : int
        Number of pairs that are held at a time.
    folder : Path
        An existing folder for files of up to 32 bytes for each edge, which are removed.
    """
    nothing = Links(n_nodes, 0, n_nodes, _ANY)
    n_ranges = min(_MOST_FILES, max(1, n_nodes), -(-int(graph.store.indptr[-1]) // max(1, most)))
    files, links = _Files(folder, n_nodes, -(-n_nodes // max(1, n_ranges)), most), nothing
    step = graph.executor.n_threads
    for first in range(0, len(graph.cuts), step):
        some = replace(graph, cuts=graph.cuts[first : first + step])
        links = links + some.run(begin(nothing), LabelVectors(label), ())[1]
        if links.n_pairs > most:
            files.add(links.merged())
            links = nothing
    if not files.written:
        yield LinkRows.of(links)
        return
    files.add(links.merged())
    # Released: each range is added up for itself.
    del links
    yield from files.rows()


@dataclass(slots=True)
class _Files:
    """Pairs of nodes with weights, each in the files of the ranges of both ends.

    Attributes
    ----------
    folder : Path
    n_nodes, width : int
        Number of nodes, and of those in a range.
    most : int
        Number of pairs that are read at a time.
    written : set of int
        The ranges that have a file.
    """

    folder: Path
    n_nodes: int
    width: int
    most: int
    written: set[int] = field(default_factory=set)

    def add(self, pairs: Pairs) -> None:
        """Append pairs."""
        lower, upper = (end // self.width for end in np.divmod(pairs.pair, self.n_nodes))
        self._append(pairs, lower)
        other = np.flatnonzero(lower != upper)
        other = other[np.argsort(upper[other], kind="stable")]
        self._append(Pairs(pairs.pair[other], pairs.n_edges[other]), upper[other])

    def _append(self, pairs: Pairs, of: Int64Array) -> None:
        """Append pairs in the order of their ranges ``of``."""
        bounds = [*np.flatnonzero(np.diff(of, prepend=-1)), len(of)]
        for start, stop in pairwise(bounds):
            which = int(of[start])
            self.written.add(which)
            with self._file(which).open("ab") as file:
                np.stack([values[start:stop] for values in pairs], axis=1).tofile(file)

    def rows(self) -> Iterator[LinkRows]:
        """Yield the rows of one range after the other, and remove its file."""
        for which, start in enumerate(range(0, self.n_nodes, self.width)):
            stop = min(self.n_nodes, start + self.width)
            while start < stop:
                links = self._read(which, Links(self.n_nodes, start, stop, 2 * self.most))
                yield LinkRows.of(links)
                # Hubs may have more pairs than fit: then the range was cut short, and the rest comes next.
                start = links.stop
            self._file(which).unlink(missing_ok=True)

    def _read(self, which: int, nothing: Links) -> Links:
        """Return the links of a range, or of its beginning."""
        links = nothing
        if which in self.written:
            with self._file(which).open("rb") as file:
                while len(numbers := np.fromfile(file, np.int64, 2 * self.most)):
                    pair, weight = numbers.reshape(-1, 2).T
                    links = links + nothing.with_edges(*np.divmod(pair, self.n_nodes), weight)
        return links

    def _file(self, which: int) -> Path:
        return self.folder / f"pairs-{which}"
