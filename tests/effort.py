"""How much is tried: examples of properties, and how long the local search goes on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from internals import change, current

# In percent of the examples that a test asks for.
PERCENT = {"quick": 25, "ci": 100, "fuzz": 100}
# No property is tried on fewer.
FEWEST = 5


def register_profiles() -> None:
    """Give Hypothesis the profiles: ``quick`` is what tests take without an option.

    No test fails for being slow: machines are busy, and kernels compile at their first use. But for ``fuzz``
    the same inputs come each time, so that nothing changes but what is tested.
    """
    for name, percent in PERCENT.items():
        settings.register_profile(
            name,
            max_examples=percent,
            deadline=None,
            derandomize=name != "fuzz",
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile("quick")
    _draw_no_literals()


def _draw_no_literals() -> None:
    """Keep literals of the package out of the inputs, but for ``fuzz``.

    Hypothesis draws numbers and strings that stand in modules of the project which are loaded when a test
    runs. So inputs would depend on the tests that a process has run before, and on every change of the code.
    """
    literals = getattr(providers, "_get_local_constants", None)
    if literals is None:
        return
    nothing = providers.Constants()
    providers._get_local_constants = lambda: (
        literals() if settings.get_current_profile_name() == "fuzz" else nothing
    )


def examples(n: int, quick: int | None = None) -> settings:
    """Ask for ``n`` examples, and in the profile ``quick`` for a quarter of them or as many as are named."""
    name = settings.get_current_profile_name()
    if name == "quick" and quick is not None:
        return settings(max_examples=quick)
    return settings(max_examples=max(FEWEST, n * PERCENT.get(name, 100) // 100))


BRIEFLY = {"edges_searched": 1 << 20, "moves": 1 << 12}
FULLY = {name: current(name) for name in BRIEFLY}


def search_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the local search end early on small graphs, which it reads for about a second otherwise."""
    change(monkeypatch, **BRIEFLY)


def search_fully(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the local search go on for as long as it does for users."""
    change(monkeypatch, **FULLY)
