"""The public functions: each opens a graph, runs the solver, and returns a record.

A clustering that is asked about its graph again takes what it needs from here.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sparse_ap.clustering.preparation import examined_by
    from sparse_ap.clustering.solver import checked_again, open_links
else:
    __getattr__, __dir__, _names = lazy_loader.attach(
        __name__, submod_attrs={"preparation": ["examined_by"], "solver": ["checked_again", "open_links"]}
    )

__all__ = ["checked_again", "examined_by", "open_links"]
