"""The paper's toy problem: 25 points in the plane, with known optima and what R's apcluster makes of it."""

import json
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[1] / "data"
POINTS = np.loadtxt(DATA / "toy.txt")
SIMILARITY = -((POINTS[:, None] - POINTS) ** 2).sum(axis=2)
EXPECTED = json.loads((DATA / "toy_expected.json").read_text())
APCLUSTER = json.loads((DATA / "toy_apcluster.json").read_text())
MEDIAN = EXPECTED["preference_median_including_diagonal"]
PUBLISHED = EXPECTED[f"affinity_propagation_at_{MEDIAN}"]
OPTIMA = {
    float(preference): optimum["net_similarity"]
    for preference, optimum in EXPECTED["exact_optimum_by_preference"].items()
}
# The optima are given to six digits after the point.
ROUNDING = 1e-6
# Preferences at which messages settle on a local optimum that medoids do not improve: by 0.25 and 0.15.
MISSED = {"classic": (-5.0, -10.0), "compact": (-10.0,)}
SCHEMES = pytest.mark.parametrize("scheme", ["classic", "compact"])
