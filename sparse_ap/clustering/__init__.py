"""The public functions: each opens a graph, runs the solver, and returns a record.

A clustering that is asked about its graph again takes what it needs from here.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sparse_ap.clustering.solver import checked_again, open_checked
else:
    __getattr__, __dir__, _names = lazy_loader.attach(
        __name__, submod_attrs={"solver": ["checked_again", "open_checked"]}
    )

__all__ = ["checked_again", "open_checked"]
