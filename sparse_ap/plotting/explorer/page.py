"""`write_explorer`: a tree as one page of HTML that needs no server and no network."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.plotting.axes import checked_names
from sparse_ap.plotting.colours import ON_DARK, ON_LIGHT, with_tones
from sparse_ap.plotting.explorer.columns import checked_table, packed_columns
from sparse_ap.plotting.explorer.facts import cluster_facts
from sparse_ap.plotting.explorer.held import HeldClusters, held_points
from sparse_ap.plotting.explorer.packing import packed
from sparse_ap.plotting.explorer.pictures import checked_images, packed_images
from sparse_ap.plotting.web import checked_plane
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = ["require_page", "write_explorer"]

_MOST_CLUSTERS, _MOST_POINTS = 200_000, 400_000
"""What a page holds at most of each; fewer where names are long or columns many."""

_MOST_BYTES = 20_000_000
"""Bytes of names, positions and values of the points before they are compressed, to a third as a rule."""

_BYTES_OF_IMAGES = 6_000_000

_LONGEST = 240
"""Letters of a name that are shown."""

_SCRIPTS = ("data.js", "drawing.js", "treemap.js", "map.js", "panel.js", "search.js", "main.js")


def write_explorer(
    hierarchy: Hierarchy,
    path: str | Path,
    *,
    names: ArrayLike | None = None,
    points: ArrayLike | None = None,
    images: Any = None,
    table: Any = None,
    title: str | None = None,
) -> None:
    """Write a page of HTML in which a reader explores a tree, from its largest groups down to their members.

    The page is one file that needs no server and no network. It holds all clusters of the coarse levels, as
    many of the finest as fit, and of each a sample of points from the nearest to the furthest: 200,000
    clusters and 400,000 points at most, below 20 MB, and it says how many. Names are shown as text.

    Parameters
    ----------
    hierarchy : Hierarchy
        The result of `sparse_ap.hierarchy`.
    path : path-like
        The ``.html`` file to write. It appears complete or not at all, and replaces an existing file.
    names : array-like of str, shape (n_points,), optional
        Names of the points, of which 240 letters are shown. None: their numbers.
    points : array-like of float, shape (n_points, 2), optional
        Positions in the plane, such as UMAP's, for a map of the points on the page.
    images : array or sequence, optional
        Pictures of the points: an array of shape (n_points, height, width), or with three colours at the end,
        in uint8, or in other numbers, which are scaled from the smallest to the largest shown. Or a sequence
        of drawings in SVG, of paths of .png, .jpg, .gif, .webp or .svg files, and of None; it is asked only
        for points on the page, exemplars first, until there are 6 MB.
    table : data frame or mapping, optional
        Columns with a value a point. Of numbers the page shows the mean in each cluster, of text the most
        frequent values. Categories that are numbers should be given as text.
    title : str, optional
        Heading of the page. None: the number of points.

    Raises
    ------
    InvalidInputError
        What is given is no hierarchy, the path cannot be written, or names, points, images or columns of the
        table are not one for each point.
    """
    path = Path(path)
    require_page(path)
    if not isinstance(hierarchy, Hierarchy):
        raise InvalidInputError(
            f"The hierarchy is a {type(hierarchy).__name__}; what sparse_ap.hierarchy returns is needed."
        )
    n_points = len(hierarchy.labels(0))
    called = None if names is None else checked_names(names, n_points)
    plane = None if points is None else checked_plane(points, n_points)
    columns = {} if table is None else checked_table(table, n_points)
    pictures = None if images is None else checked_images(images, n_points)
    title = f"A tree of {n_points:,} points" if title is None else title
    data = _data(hierarchy, title, called, plane, pictures, columns)
    page = _page(title, data)
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def require_page(path: Path) -> None:
    """Refuse a path that is no ``.html`` file, is a folder, or whose folder does not exist.

    Raises
    ------
    InvalidInputError
    """
    if path.suffix != ".html":
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; a page is written to an .html file.")
    require_folder(path)


def _data(
    tree: Hierarchy,
    title: str,
    names: NDArray[Any] | None,
    plane: NDArray[np.float64] | None,
    images: Any,
    table: dict[str, NDArray[Any]],
) -> str:
    """Return all that the page's script is given."""
    most = _MOST_BYTES // _bytes_each(names, 4 * (plane is not None) + 4 * len(table))
    held = HeldClusters.of(tree, min(_MOST_CLUSTERS, most // 2))
    parts: dict[str, Any] = dict(cluster_facts(tree, held))
    homes, similarities = held.homes[tree.labels(0)], tree.clusterings[0].similarities
    exemplars = np.unique(parts["exemplar"][parts["exemplar"] >= 0])
    shown = held_points(homes, similarities, exemplars, min(_MOST_POINTS, most))
    # The last entry is that of the whole, whose exemplar is -1.
    place = np.full(len(homes) + 1, -1, np.int32)
    place[shown] = np.arange(len(shown))
    parts["exemplar"] = place[parts["exemplar"]]
    parts |= {
        "point": shown.astype(np.uint32),
        "home": homes[shown].astype(np.uint32),
        "likeness": similarities[shown].astype(np.float32),
    }
    if names is not None:
        parts["names"] = _joined(names[shown])
    if plane is not None:
        parts |= _positions(plane[shown])
    head: dict[str, Any] = {}
    head["columns"], of_columns = packed_columns(table, tree, held, shown)
    parts |= of_columns
    if images is not None:
        wanted = parts["exemplar"][parts["exemplar"] >= 0]
        first = wanted[np.sort(np.unique(wanted, return_index=True)[1])]
        head["images"], of_images = packed_images(images, shown, first, _BYTES_OF_IMAGES)
        parts |= of_images
    head |= {
        "title": title,
        "points": len(homes),
        "levels": list(held.levels),
        "starts": held.starts.tolist(),
        "clusters": tree.n_clusters.tolist(),
        "palettes": {"light": with_tones(ON_LIGHT), "dark": with_tones(ON_DARK)},
    }
    return packed(head, parts)


def _bytes_each(names: NDArray[Any] | None, others: int) -> int:
    """Return about how many bytes a point takes."""
    if names is None or not len(names):
        return 12 + others
    some = names[:: max(1, len(names) // 1000)]
    return 13 + others + len(_joined(some)) // len(some)


def _joined(names: NDArray[Any]) -> bytes:
    """Return names in UTF-8, each but the first after a zero."""
    shown = (str(name).replace("\0", "\N{REPLACEMENT CHARACTER}") for name in names.tolist())
    short = (name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…" for name in shown)
    return "\0".join(short).encode("utf-8", "replace")


def _positions(plane: NDArray[np.float64]) -> dict[str, NDArray[np.uint16]]:
    """Return positions in steps of the longer side, y upwards."""
    low = plane.min(axis=0, initial=np.inf)
    span = float((plane.max(axis=0, initial=-np.inf) - low).max()) or 1.0
    steps = np.round((plane - low) / span * 65535.0).astype(np.uint16)
    return {"x": steps[:, 0], "y": steps[:, 1]}


def _page(title: str, data: str) -> str:
    folder = files("sparse_ap.plotting.explorer")
    template = Template((folder / "explorer.html").read_text(encoding="utf-8"))
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    # The browser runs this script only, whatever else were to get into the page.
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return template.substitute(
        title=escape(title),
        version=importlib.metadata.version("sparse-ap"),
        style=(folder / "explorer.css").read_text(encoding="utf-8"),
        script=script,
        digest=digest,
        data=data,
    )
