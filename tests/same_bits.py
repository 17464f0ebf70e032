"""What must be the same to the bit in every way of running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sparse_ap import Clustering

# What makes numpy, OpenBLAS, numba and the C library compute as on an older processor. Features of numpy are
# named in one way up to numpy 2.3, in another from then on; unknown names are ignored.
OLDER = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512_SKX AVX512_ICL",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NUMBA_CPU_NAME": "generic",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
}


def bits(result: Clustering) -> tuple[Any, ...]:
    """Everything a clustering holds, comparable."""
    return (
        result.labels.tobytes(),
        result.exemplars.tobytes(),
        result.net_similarity,
        result.data_similarity,
        result.n_promoted,
        result.outcome,
        result.history,
        result.net_similarity_bound,
        result.optimal,
    )


def asked_bits(found: Clustering, graph: Any, **options: Any) -> list[bytes]:
    """All that a clustering says when it is given its graph: shares, runner-ups, a ranking."""
    shares, runner = found.memberships(graph, 4, **options), found.runner_up(graph, **options)
    ranking = found.ranking(graph, **options)
    arrays = (
        *(shares.indptr, shares.indices, shares.data, ranking.exemplars, ranking.net_similarities),
        *(ranking.coverage, runner.labels, runner.exemplars, runner.similarities, runner.margins),
    )
    return [np.ascontiguousarray(values).tobytes() for values in arrays]


def printed_by(script: str, *arguments: object, older: Path | None = None) -> str:
    """Run a script in a process of its own; on an older processor, with a folder for the kernels of that."""
    environment = {} if older is None else OLDER | {"NUMBA_CACHE_DIR": str(older)}
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
