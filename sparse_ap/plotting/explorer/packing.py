"""Arrays and texts as one compressed text, which the page's script unpacks."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["packed"]

_ALIGNED = 8


def packed(head: Mapping[str, Any], parts: Mapping[str, NDArray[Any] | bytes]) -> str:
    """Return a head and named arrays, in base64 of zlib's format; data.js reads it.

    Parameters
    ----------
    head : mapping
        What JSON can hold.
    parts : mapping of str to ndarray or bytes
        Arrays of numbers, of which the page reads all entries in order, and bytes. Whole numbers that ascend
        are stored as differences.
    """
    contents, listed = [], {}
    at = 0
    for name, part in parts.items():
        content, kind = _content(part)
        listed[name] = [kind, at, len(content)]
        at += len(content) + -len(content) % _ALIGNED
        contents.append(content)
    text = json.dumps({**head, "parts": listed}, allow_nan=False).encode("ascii")
    text += b" " * (-(len(text) + 4) % _ALIGNED)
    squeezed = zlib.compressobj()
    pieces = [squeezed.compress(len(text).to_bytes(4, "little") + text)]
    for content in contents:
        pieces += [squeezed.compress(content), squeezed.compress(bytes(-len(content) % _ALIGNED))]
    return base64.b64encode(b"".join([*pieces, squeezed.flush()])).decode("ascii")


def _content(part: NDArray[Any] | bytes) -> tuple[bytes, str]:
    if isinstance(part, bytes):
        return part, "bytes"
    little = np.ascontiguousarray(part, part.dtype.newbyteorder("<"))
    kind = little.dtype.str[1:]
    if kind == "u4" and little.ndim == 1 and len(little) and (little[1:] >= little[:-1]).all():
        return np.diff(little, prepend=little.dtype.type(0)).tobytes(), "ascending"
    return little.tobytes(), kind
