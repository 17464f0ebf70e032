"""The places of the demonstration: names, coordinates and distances."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EARTH_RADIUS_KM", "Places", "great_circle_km", "load_places", "unit_vectors"]

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

_UNITS_PER_DEGREE = 100_000
"""Coordinates are stored as integers in units of 1e-5 degrees (about a metre), GeoNames' precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Named places on the Earth, in parallel arrays.

    Attributes
    ----------
    names : tuple of str
        Name of each place.
    countries : ndarray of str, shape (n_places,)
        Two-letter ISO 3166 code of the country.
    latitude, longitude : ndarray of float64, shape (n_places,)
        Degrees, north and east positive.
    """

    names: tuple[str, ...]
    countries: NDArray[np.str_]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self.names)

    def take(self, indices: NDArray[np.integer[Any]]) -> Places:
        """Return the places at ``indices``, in that order."""
        return Places(
            names=tuple(self.names[i] for i in indices),
            countries=self.countries[indices],
            latitude=self.latitude[indices],
            longitude=self.longitude[indices],
        )


def load_places() -> Places:
    """Load the 171,075 places in the package's data.

    Returns
    -------
    Places
        Places of GeoNames (https://www.geonames.org), licensed CC BY 4.0.
    """
    with (
        (files("sparse_ap.cli.demo") / "places.npz").open("rb") as file,
        np.load(file) as packed,
    ):
        return Places(
            # One compressed text: in an array of strings every name would take the width of the longest.
            names=tuple(lzma.decompress(packed["names"].tobytes()).decode().split("\n")),
            countries=packed["country_codes"].astype(np.str_)[packed["country"]],
            latitude=packed["latitude"] / _UNITS_PER_DEGREE,
            longitude=packed["longitude"] / _UNITS_PER_DEGREE,
        )


def unit_vectors(places: Places) -> NDArray[np.float64]:
    """Return the position of each place on the unit sphere.

    Parameters
    ----------
    places : Places
        The places, by latitude and longitude.

    Returns
    -------
    ndarray of float64, shape (n_places, 3)
        x towards 0° N 0° E, y towards 0° N 90° E, z towards the north pole.
    """
    latitude, longitude = np.radians(places.latitude), np.radians(places.longitude)
    parallel = np.cos(latitude)
    return np.column_stack([parallel * np.cos(longitude), parallel * np.sin(longitude), np.sin(latitude)])


def great_circle_km(start: NDArray[np.float64], stop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distances along the Earth's surface between points given as unit vectors.

    Parameters
    ----------
    start, stop : ndarray of float64, shape (..., 3)
        Unit vectors; shapes broadcast.

    Returns
    -------
    ndarray of float64, shape (...)
        Distances in kilometres.
    """
    # From the chord, not the dot product: the arc cosine loses distances below a few hundred metres.
    chord = np.linalg.norm(start - stop, axis=-1)
    arc: NDArray[np.float64] = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2.0, 1.0))
    return arc
