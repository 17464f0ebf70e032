"""The places of the demonstration: names, coordinates and distances."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EARTH_RADIUS_KM", "GRID", "Places", "arcs_over", "great_circle_km", "load_places", "unit_vectors"]

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

_UNITS_PER_DEGREE = 100_000
"""Coordinates are stored as integers in units of 1e-5 degrees (about a metre), GeoNames' precision."""

GRID = 2.0**-24
"""Positions on the unit sphere are multiples of this: 38 cm on the Earth, less than the coordinates tell."""

# The arcsine's series at 0: coefficients of x, x³, x⁵, ...
_ARCSINE = (1.0, 1 / 6, 3 / 40, 5 / 112, 35 / 1152, 63 / 2816, 231 / 13312)


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
    """Load the 171,075 places in the package's data, of GeoNames (https://www.geonames.org), CC BY 4.0."""
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
    """Return the position of each place on the unit sphere, in multiples of `GRID`.

    Returns
    -------
    ndarray of float64, shape (n_places, 3)
        x towards 0° N 0° E, y towards 0° N 90° E, z towards the north pole.

    Notes
    -----
    The last bits of sines and cosines depend on the processor. Rounding hides them, since no coordinate of
    the 171,075 places is near the middle between two multiples (a test shows it). Squares of straight
    distances between multiples are exact, so these are the same in every order and on every machine, too.
    """
    latitude, longitude = np.radians(places.latitude), np.radians(places.longitude)
    parallel = np.cos(latitude)
    exact = np.column_stack([parallel * np.cos(longitude), parallel * np.sin(longitude), np.sin(latitude)])
    return np.asarray(np.rint(exact / GRID) * GRID)


def great_circle_km(start: NDArray[np.float64], stop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distances along the Earth's surface, in km, between points given as unit vectors."""
    # From the chord, not the dot product: the arc cosine loses distances below a few hundred metres.
    return EARTH_RADIUS_KM * arcs_over(np.linalg.norm(start - stop, axis=-1))


def arcs_over(chords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lengths of the arcs, on a circle of radius 1, whose ends are so far apart.

    What rounding leaves above 2 counts as 2. The relative error is below 1e-11, and the bits are the same on
    every machine: those of numpy's arcsin are not.
    """
    sine = np.minimum(chords / 2, 1.0)
    # Sines of a half, a quarter and an eighth of the angle, at most sin(π / 16); then the series.
    for _ in range(3):
        sine = sine / np.sqrt(2 + 2 * np.sqrt(1 - sine * sine))
    square, sums = sine * sine, np.full_like(sine, _ARCSINE[-1])
    for coefficient in _ARCSINE[-2::-1]:
        sums = coefficient + square * sums
    return np.asarray(16 * sine * sums)
