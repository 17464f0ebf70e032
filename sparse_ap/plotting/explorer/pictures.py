"""Pictures of points: arrays of pixels, files, or drawings in SVG."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int64Array

__all__ = ["checked_images", "packed_images"]

_KINDS = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
    ".webp": "image/webp", ".svg": "image/svg+xml",
}  # fmt: skip
_KIND_NAMES = tuple(dict.fromkeys(_KINDS.values()))


def checked_images(images: Any, n_points: int) -> Any:
    """Return images that are an array of pixels, or a sequence with one drawing or file a point.

    Raises
    ------
    InvalidInputError
    """
    shape = getattr(images, "shape", None)
    if shape is not None and len(shape) > 1:
        right = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        if not right or shape[0] != n_points or images.dtype.kind not in "buif":
            raise InvalidInputError(
                f"The images are an array of {images.dtype} of shape {shape}; numbers of shape ({n_points}, "
                "height, width) are needed, or with three colours at the end."
            )
        return images
    if len(images) != n_points:
        raise InvalidInputError(
            f"There are {len(images):,} images, and {n_points:,} points; one a point is needed, in the same "
            "order, empty where there is none."
        )
    # A column of a data frame is asked by place, whatever its index.
    return images if shape is None else np.asarray(images)


def packed_images(
    images: Any, points: Int64Array, first: Int64Array, room: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the page's head says of its pictures, and their bytes.

    Parameters
    ----------
    images
        As `checked_images` returns them; only those of points on the page are read.
    points : ndarray of int64
        The points on the page.
    first : ndarray of int64
        Places of points whose pictures matter most, in order. The others follow, evenly spread.
    room : int
        Bytes for all pictures, compressed.
    """
    others = np.setdiff1d(np.arange(len(points)), first)
    # Golden steps: every beginning of the sequence is spread evenly.
    others = others[np.argsort((np.arange(len(others)) * 0.618033988749895) % 1.0, kind="stable")]
    wanted = np.concatenate([first, others])
    if len(getattr(images, "shape", ())) > 1:
        return _pixels(images, points, wanted, room)
    return _files(images, points, wanted, room)


def _pixels(
    images: NDArray[Any], points: Int64Array, wanted: Int64Array, room: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    _, height, width, *colours = images.shape
    shown = wanted[: room // max(1, int(np.prod(images.shape[1:])))]
    pixels = np.stack([images[point] for point in points[shown]]) if len(shown) else images[:0]
    if pixels.dtype != np.uint8:
        pixels = np.nan_to_num(pixels.astype(np.float64))
        low, high = (pixels.min(), pixels.max()) if pixels.size else (0.0, 1.0)
        pixels = np.round(255.0 * (pixels - low) / (high - low or 1.0)).astype(np.uint8)
    head = {"height": int(height), "width": int(width), "colours": int(colours[0]) if colours else 1}
    return head, {"picture": shown.astype(np.uint32), "pixels": pixels.ravel()}


def _files(
    images: Any, points: Int64Array, wanted: Int64Array, room: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    shown, kinds, contents, used = [], [], [], 0
    for place in wanted.tolist():
        point = int(points[place])
        image = images[point]
        if image is None or (isinstance(image, str) and not image):
            continue
        kind, content = _read(image, point)
        # Drawings are text, of which the page holds a sixth as many bytes.
        used += len(zlib.compress(content, 1))
        if used > room:
            break
        shown.append(place)
        kinds.append(_KIND_NAMES.index(kind))
        contents.append(content)
    parts = {
        "picture": np.array(shown, np.uint32),
        "kind": np.array(kinds, np.uint8),
        "length": np.array([len(content) for content in contents], np.uint32),
        "files": b"".join(contents),
    }
    return {"kinds": _KIND_NAMES}, parts


def _read(image: Any, point: int) -> tuple[str, bytes]:
    if isinstance(image, str) and image.lstrip().startswith("<"):
        return "image/svg+xml", image.encode("utf-8", "replace")
    try:
        path = Path(image)
        return _KINDS[path.suffix.lower()], path.read_bytes()
    except (TypeError, KeyError, OSError) as error:
        raise InvalidInputError(
            f"The image of point {point}, {str(image)[:80]!r}, cannot be read ({error}); a drawing in SVG is "
            f"needed, or the path of a file: {', '.join(_KINDS)}."
        ) from error
