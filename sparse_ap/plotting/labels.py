"""Greedy placement of names in a picture, such that no name covers another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "PlacedLabel", "place_labels"]


class Box(NamedTuple):
    """A rectangle in pixels; y points upwards."""

    left: float
    bottom: float
    width: float
    height: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two rectangles share any area."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.bottom < other.bottom + other.height
            and other.bottom < self.bottom + self.height
        )

    def within(self, frame: Box) -> bool:
        """Whether the rectangle lies inside ``frame``."""
        return (
            frame.left <= self.left
            and frame.bottom <= self.bottom
            and self.left + self.width <= frame.left + frame.width
            and self.bottom + self.height <= frame.bottom + frame.height
        )

    def padded(self, margin: float) -> Box:
        """Return the rectangle grown by ``margin`` on every side."""
        return Box(
            self.left - margin, self.bottom - margin, self.width + 2 * margin, self.height + 2 * margin
        )


@dataclass(frozen=True, slots=True)
class PlacedLabel:
    """A label with the place found for it.

    Attributes
    ----------
    index : int
        Index of the anchor that the label names.
    box : Box
        The rectangle that the label fills.
    """

    index: int
    box: Box


def place_labels(
    anchors: NDArray[np.float64],
    extents: Sequence[NDArray[np.float64]],
    frame: Box,
    *,
    gap: float,
    margin: float,
    limit: int,
    marks: Sequence[Box] = (),
) -> list[PlacedLabel]:
    """Place labels beside their anchors, in order, until ``limit`` labels are placed.

    Parameters
    ----------
    anchors : ndarray of float64, shape (n, 2)
        Pixel that each label names, the most important first.
    extents : sequence of ndarray of float64, shape (2,)
        Width and height of each label.
    frame : Box
        The rectangle that all labels stay inside.
    gap, margin : float
        Pixels between an anchor and its label, and pixels kept free around each label.
    limit : int
        Largest number of labels.
    marks : sequence of Box
        Rectangles that no label may cover.

    Returns
    -------
    list of PlacedLabel
        In the order of the anchors, without labels for which there is no room.
    """
    placed: list[PlacedLabel] = []
    for index, (anchor, extent) in enumerate(zip(anchors, extents, strict=True)):
        if len(placed) == limit:
            break
        taken = [*marks, *(label.box.padded(margin) for label in placed)]
        positions = [box for box in _positions(anchor, extent, gap) if box.within(frame)]
        free = [box for box in positions if not any(map(box.overlaps, taken))]
        # The first free position, in the order of preference; no label without one.
        placed += [PlacedLabel(index, box) for box in free[:1]]
    return placed


def _positions(anchor: NDArray[np.float64], extent: NDArray[np.float64], gap: float) -> Iterator[Box]:
    """Yield the possible rectangles of a label: to the right, to the left, above and below its anchor."""
    (x, y), (width, height) = anchor, extent
    yield Box(x + gap, y - height / 2, width, height)
    yield Box(x - gap - width, y - height / 2, width, height)
    yield Box(x - width / 2, y + gap, width, height)
    yield Box(x - width / 2, y - gap - height, width, height)
