"""One block after the other, in this thread."""

from __future__ import annotations

from collections.abc import Sequence

from sparse_ap.execution.executor import RowsT, TallyT, VectorsT, new_columns, read_blocks
from sparse_ap.kernels.block import RowCut
from sparse_ap.kernels.edge_pass import Columns, Pass
from sparse_ap.storage.store import Store

__all__ = ["SerialRunner"]


class SerialRunner:
    """The specification of every runner."""

    n_threads = 1

    def run(
        self,
        pass_: Pass[VectorsT, RowsT, TallyT],
        store: Store,
        cuts: Sequence[RowCut],
        vectors: VectorsT,
        rows: RowsT,
    ) -> tuple[Columns, TallyT]:
        """Return the combined columns and tally; ``rows`` are updated in place."""
        columns = new_columns(pass_, len(store.indptr) - 1)
        return columns, read_blocks(pass_, store.read(cuts), vectors, rows, columns)
