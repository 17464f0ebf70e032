"""What the first call costs: processor time and memory of new processes, without and with compiled kernels.

Each process clusters 2,000 points by their nearest neighbours, or makes a hierarchy of them after that. The
first ones find an empty cache, the second ones what the first have compiled. Processor time is that of the
process and of its children. With --kernels, what numba has compiled is listed, by the time it took without
what it called.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

PROGRAM = r"""
import json, re, resource, sys, warnings

compiled = []
if sys.argv[2] == "kernels":
    import time
    from numba.core import event

    class Listener(event.Listener):
        begun = []

        def on_start(self, found):
            self.begun.append([time.process_time(), 0.0])

        def on_end(self, found):
            began, inner = self.begun.pop()
            took = time.process_time() - began
            if self.begun:
                self.begun[-1][1] += took
            function = found.data["dispatcher"].py_func
            args = ", ".join(map(str, found.data["args"]))
            compiled.append((took - inner, f"{function.__module__}.{function.__name__}", args))

    event.register("numba:compile", Listener())

import numpy as np
from sparse_ap import affinity_propagation, hierarchy
from sparse_ap.graphs import knn_graph

warnings.simplefilter("ignore")
def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
graph = knn_graph(np.random.default_rng(0).normal(size=(2000, 3)), n_neighbors=15)
imported = used()
clustering = affinity_propagation(graph)
clustered = used()
if sys.argv[1] == "hierarchy":
    hierarchy(graph)
print(json.dumps({
    "import": imported,
    "clustering": clustered - imported,
    "hierarchy": used() - clustered,
    # Not getrusage, whose peak a process inherits from the one that started it.
    "peak": 1024 * int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]),
    "compiled": compiled,
}))
"""


def main() -> None:
    """Print a row a process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", action="store_true", help="list what numba compiles")
    parser.add_argument("--runs", type=int, default=1, help="repeat all of it")
    arguments = parser.parse_args()
    listed = "kernels" if arguments.kernels else ""
    print("| process | kernels | import and graph, s | clustering, s | hierarchy, s | peak, MB |")
    print("|---|---|---|---|---|---|", flush=True)
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as cache:
            compiled = [
                row("a first clustering", "none", run("clustering", cache, listed)),
                row("a hierarchy after it", "those of a clustering", run("hierarchy", cache, listed)),
                row("the same again", "all", run("hierarchy", cache, listed)),
            ]
        with tempfile.TemporaryDirectory() as cache:
            compiled.append(row("both in one", "none", run("hierarchy", cache, listed)))
    if arguments.kernels:
        print_kernels(compiled[-1])


def run(what: str, cache: str, listed: str) -> dict[str, Any]:
    """Run the program in a process of its own; return what it says."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, listed],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def row(process: str, kernels: str, result: dict[str, Any]) -> list[Any]:
    """Print a row; return what was compiled."""
    seconds = " | ".join(f"{result[part]:.2f}" for part in ("import", "clustering", "hierarchy"))
    print(f"| {process} | {kernels} | {seconds} | {result['peak'] / 1e6:.0f} |", flush=True)
    compiled: list[Any] = result["compiled"]
    return compiled


def print_kernels(compiled: list[Any]) -> None:
    """Print what was compiled, what took longest first."""
    names = {name for _, name, _ in compiled}
    own = sum(name.startswith("sparse_ap.") for _, name, _ in compiled)
    print(f"\n{len(compiled)} variants of {len(names)} functions, {own} of them of this package; ", end="")
    print(f"{sum(took for took, _, _ in compiled):.1f} s\n\n| s | function | variant |\n|---|---|---|")
    for took, name, variant in sorted(compiled, reverse=True):
        print(f"| {took:.2f} | {name} | {variant} |")


if __name__ == "__main__":
    main()
