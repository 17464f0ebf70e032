"""Fixtures that several files use, and the order of tests."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import scipy.sparse
from clusters import RunningCluster, running, until
from effort import register_profiles, search_briefly, search_fully
from samples import knn_similarity

# Shells start jobs in the background with Ctrl-C ignored, which every process started from there inherits.
signal.signal(signal.SIGINT, signal.default_int_handler)
register_profiles()

# Files that start processes of dask: one after the other, so that no two clusters share the processors.
ON_CLUSTERS = (
    "test_cluster_faults.py",
    "test_cluster.py",
    "test_cluster_input.py",
    "test_edges_on_clusters.py",
    "test_hierarchy.py",
)
# Files that begin early since they take long, in order; of the rest those that fill the gaps at the end.
FIRST = (*ON_CLUSTERS, "test_memory.py", "test_libraries.py", "test_documentation.py", "test_number.py")
LAST = ("test_knn.py", "test_write_graph.py", "test_same_bits.py", "test_fuzz.py", "test_properties.py")
# Files that share no costly fixture, and so need not stay together.
SPREAD = {
    *LAST,
    "test_documentation.py",
    "test_number.py",
    "test_differential.py",
    "test_differential_matrices.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that several processes end at the same time."""
    items.sort(key=lambda item: turn(item.nodeid))


def turn(nodeid: str) -> int:
    """Return when a test's turn is; tests of equal turns stay in order."""
    order = (*FIRST, "others", *LAST)
    return order.index(file_of(nodeid) if file_of(nodeid) in order else "others")


def file_of(nodeid: str) -> str:
    """Return the name of a test's file."""
    return nodeid.partition("::")[0].rpartition("/")[2]


def group_of(nodeid: str) -> str:
    """Return what a test stays together with, in one of several processes."""
    if file_of(nodeid) in ON_CLUSTERS:
        return "on clusters"
    if "pynndescent" in nodeid:
        # It compiles itself in each process that imports it.
        return "pynndescent"
    return nodeid if file_of(nodeid) in SPREAD else file_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give out tests by group, in order, where pytest-xdist has several processes share them."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


@pytest.fixture(scope="session", autouse=True)
def brief_search() -> Iterator[None]:
    """End the local search early, but for the tests marked ``full_search``."""
    with pytest.MonkeyPatch.context() as patch:
        search_briefly(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """Write without waiting for the disk, which a graph does some twenty times: only a power cut tells.

    Processes that tests start wait as they do for users.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def full_search(request: pytest.FixtureRequest) -> Iterator[None]:
    """Search as long as users do in a test that is marked ``full_search``."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("full_search"):
            search_fully(patch)
        yield


@pytest.fixture(scope="session")
def knn() -> scipy.sparse.csr_array:
    """3,000 points in the plane, 12 neighbours each, float32."""
    return knn_similarity(3000, 12, 2, seed=0)


class SharedCluster:
    """The cluster of processes that all tests share which leave a living scheduler behind."""

    def __init__(self) -> None:
        self._ending = contextlib.ExitStack()
        self._cluster: RunningCluster | None = None

    def started(self) -> RunningCluster:
        """Return the cluster, which the first test starts."""
        if self._cluster is None:
            self._cluster = self._ending.enter_context(running(2))
        return self._cluster

    def end(self) -> None:
        """End it, if it was started."""
        self._cluster = None
        self._ending.close()


SHARED = SharedCluster()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the cluster after the last test on clusters: its threads would go on beside other tests."""
    if nextitem is None or file_of(nextitem.nodeid) not in ON_CLUSTERS:
        SHARED.end()


@pytest.fixture
def cluster() -> RunningCluster:
    """Two worker processes, of one thread each: those of the test before, or others in place of the dead."""
    cluster = SHARED.started()
    living = cluster.living()
    for worker in living[2:]:
        worker.kill()
    for worker in [cluster.start_worker(wait=False) for _ in range(2 - len(living))]:
        worker.wait()
    until(lambda: len(cluster.client.nthreads()) == 2, "two workers")
    return cluster
