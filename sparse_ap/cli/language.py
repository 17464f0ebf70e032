"""From the language of Python, in which errors and warnings are written, to that of the command line."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import click

__all__ = ["as_typed", "name_copy"]

# Key in the context of a command: what temporary copies are called in messages.
_COPIES = "sparse_ap.names_of_copies"

# What has no counterpart of the same name.
_PHRASES = {
    "warnings.filterwarnings('ignore', category=sparse_ap.PositiveSimilarityWarning)": "--quiet",
    "convert them with sparse_ap.graphs.from_distances": "convert them: sparse-ap convert --similarity=-d",
    "preference_quantile": "quantile",
    "affinity_propagation(..., n_clusters=...)": "sparse-ap cluster --n-clusters",
    "affinity_propagation(..., refine='medoid')": "sparse-ap cluster --refine medoid",
}
# Such as: sparse_ap.hierarchy(...).cut_exactly(500).
_CUT = re.compile(r"sparse_ap\.hierarchy\(\.\.\.\)\.cut_exactly\((?P<number>\d+)\)")
_VALUE = r"(?P<value>'[^']*'|\"[^\"]*\"|\.\.\.|-?[\w.+-]*\w)"
# Such as: resume=True (--resume); ids='string' (--ids string); memory_limit (--memory-limit).
_BOTH = re.compile(rf"\b(?P<name>\w+)={_VALUE} \((?P<option>--[\w-]+(?: [\w-]+)?)\)")
_TWICE = re.compile(r"\b(?P<name>\w+) \((?P<option>--[\w-]+)\)")


def as_typed(text: str, command: click.Command) -> str:
    """Return a message with the arguments of a function written as the options of a command."""
    text = _with_sources_named(text)
    for phrase, instead in _PHRASES.items():
        text = text.replace(phrase, instead)
    text = _CUT.sub(r"sparse-ap tree --n-clusters \g<number>", text)
    text = _BOTH.sub(
        lambda found: _with_value(found["option"], found["value"]) if _named(found) else found["option"], text
    )
    text = _TWICE.sub(lambda found: found["option"] if _named(found) else found[0], text)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            option = max(parameter.opts, key=len)
            given = re.compile(rf"(?<![\w(.])(?<!-){parameter.name}=(?!lambda\b){_VALUE}")
            text = given.sub(partial(_typed, option), text)
    return text


def _typed(option: str, found: re.Match[str]) -> str:
    return _with_value(option, found["value"])


def _named(found: re.Match[str]) -> bool:
    return f"--{found['name'].replace('_', '-')}" == found["option"]


def _with_value(option: str, value: str) -> str:
    """Return an option with its value, as it is typed; a flag stands alone."""
    value = value.strip("'\"")
    if value in ("True", "..."):
        return option
    # click would take a value that begins with a dash for an option.
    return f"{option}={value}" if value.startswith("-") else f"{option} {value}"


def name_copy(copy: Path, name: str) -> None:
    """Let messages of the present command name a file, or standard input, instead of its temporary copy."""
    click.get_current_context().meta.setdefault(_COPIES, {})[str(copy)] = name


def _with_sources_named(text: str) -> str:
    context = click.get_current_context(silent=True)
    names = {} if context is None else context.meta.get(_COPIES, {})
    for copy, name in names.items():
        # The copy's ending is none of the user's.
        text = name.join(re.split(re.escape(copy) + r"(?:\.[a-z0-9]+)*", text))
    return text
