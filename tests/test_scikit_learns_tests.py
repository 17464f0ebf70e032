"""scikit-learn's own tests of affinity propagation, run on this package's estimator and function."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparse_ap import AffinityPropagation, affinity_propagation

IMPORTED = "from sklearn.cluster import AffinityPropagation, affinity_propagation\n"

# Listed in docs/how-to/from-scikit-learn.md.
FAILING = {
    "test_affinity_propagation_no_copy": "copy=False is to write to the input, which is never done",
    "test_affinity_propagation_affinity_shape": "the text of the error is another one",
    "test_affinity_propagation_precomputed_with_sparse_input": "sparse similarities are taken",
    "test_affinity_propagation_fit_non_convergence": "labels are never -1",
    "test_affinity_propagation_predict_non_convergence": "there always are exemplars",
    "test_affinity_propagation_non_convergence_regressiontest": "the text of the warning is another one",
    "test_affinity_propagation_random_state": "the arrays of centres that it subtracts have unequal lengths",
    "test_sparse_input_for_fit_predict": "two clusterings are best; ours is the other one",
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def as_a_tuple(S: Any, *, copy: bool = True, **given: Any) -> tuple[Any, Any]:
    """Return what scikit-learn's function does."""
    clustering = affinity_propagation(S, **given)
    return clustering.exemplars, clustering.labels


def theirs() -> dict[str, Any]:
    """Return the names of scikit-learn's file of tests, which imports what is tested from here."""
    folder = importlib.util.find_spec("sklearn.cluster")
    assert folder is not None
    assert folder.origin is not None
    path = Path(folder.origin).parent / "tests" / "test_affinity_propagation.py"
    if not path.is_file():
        pytest.skip("the installed scikit-learn has no tests", allow_module_level=True)
    text = path.read_text()
    assert text.count(IMPORTED) == 1
    names = {
        "__name__": __name__,
        "AffinityPropagation": partial(AffinityPropagation, affinity="euclidean"),
        "affinity_propagation": as_a_tuple,
    }
    # A line for a line: what fails is shown in their file.
    exec(compile(text.replace(IMPORTED, "\n"), str(path), "exec"), names)
    return names


THEIRS = {name: test for name, test in theirs().items() if name.startswith("test_")}
for name, test in THEIRS.items():
    if name in FAILING:
        # By a wrong value, or by a warning or an error that does not come: not by an error of another kind.
        wrong: Any = (AssertionError, pytest.fail.Exception)
        wrong += (ValueError,) if name == "test_affinity_propagation_random_state" else ()
        test = pytest.mark.xfail(reason=FAILING[name], raises=wrong, strict=True)(test)
    globals()[name] = test


@pytest.fixture
def global_random_seed() -> int:
    return 42


@pytest.fixture(params=[np.float32, np.float64])
def global_dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_all_expected_failures_are_theirs() -> None:
    assert THEIRS.keys() >= FAILING.keys()
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "from-scikit-learn.md").read_text()
    assert [name for name in FAILING if f"`{name.removeprefix('test_')}`" not in page] == []
