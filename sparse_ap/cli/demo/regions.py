"""Clusters of places as regions: the size of each, and distances to its exemplar."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparse_ap.cli.demo.places import Places, great_circle_km, unit_vectors

__all__ = ["COLUMNS", "Regions", "measure_regions", "write_table"]

COLUMNS = ("exemplar", "country", "latitude", "longitude", "places", "farthest_km", "mean_km")
"""Columns of the table of regions."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """A clustering of places, with the size and extent of each cluster.

    Attributes
    ----------
    places : Places
    labels : ndarray of int64, shape (n_places,)
        Region of each place.
    exemplars : ndarray of int64, shape (n_regions,)
        Index of the place that represents each region.
    sizes : ndarray of int64, shape (n_regions,)
        Number of places in each region, its exemplar included.
    farthest_km, mean_km : ndarray of float64, shape (n_regions,)
        The largest and the mean distance from a region's places to its exemplar.
    """

    places: Places
    labels: NDArray[np.int64]
    exemplars: NDArray[np.int64]
    sizes: NDArray[np.int64]
    farthest_km: NDArray[np.float64]
    mean_km: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.exemplars)

    def largest_first(self) -> NDArray[np.int64]:
        """Return the regions in descending order of size, equal ones by index."""
        return np.argsort(-self.sizes, kind="stable")


def measure_regions(places: Places, labels: NDArray[np.int64], exemplars: NDArray[np.int64]) -> Regions:
    """Measure the size and extent of each cluster of places."""
    vectors = unit_vectors(places)
    distance = great_circle_km(vectors, vectors[exemplars[labels]])
    sizes = np.bincount(labels, minlength=len(exemplars)).astype(np.int64)
    farthest = np.zeros(len(exemplars))
    np.maximum.at(farthest, labels, distance)
    mean = np.bincount(labels, weights=distance, minlength=len(exemplars)) / sizes
    return Regions(places, labels, exemplars, sizes, farthest, mean)


def write_table(regions: Regions, path: Path) -> None:
    """Write a CSV table in UTF-8 with one line per region, the largest first."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(regions))


def _rows(regions: Regions) -> Iterator[tuple[object, ...]]:
    places = regions.places
    for region in regions.largest_first():
        exemplar = regions.exemplars[region]
        yield (
            places.names[exemplar],
            places.countries[exemplar],
            f"{places.latitude[exemplar]:.5f}",
            f"{places.longitude[exemplar]:.5f}",
            regions.sizes[region],
            f"{regions.farthest_km[region]:.1f}",
            f"{regions.mean_km[region]:.1f}",
        )
