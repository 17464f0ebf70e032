"""Names of tasks, as they are seen on dask's dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from dask.delayed import Delayed

__all__ = ["task"]


def task(name: str, work: Callable[..., Any], *args: Any) -> Delayed:
    """Return a call that another process is to make, under a name that says what for."""
    from dask.delayed import delayed

    call: Delayed = delayed(work, pure=False)(*args, dask_key_name=f"{name}-{uuid4().hex}")
    return call
