"""The package keeps its structure: small folders, short modules, no circles, honest names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import structure


@cache
def modules() -> Mapping[str, structure.Module]:
    return structure.modules_of(structure.PACKAGE)


def test_there_are_few_entries_at_the_top() -> None:
    assert len(structure.entries_of(structure.PACKAGE)) <= 12


def test_folders_are_small() -> None:
    assert {folder: n for folder, n in structure.files_by_folder(modules()).items() if n > 20} == {}


def test_modules_are_short() -> None:
    lengths = {name: module.text.count("\n") for name, module in modules().items()}
    assert {name: n for name, n in lengths.items() if n > 310} == {}


def test_functions_are_short() -> None:
    lengths = sorted(structure.function_lengths(modules()))
    assert lengths[int(0.9 * len(lengths))] < 20
    assert lengths[-1] < 60


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert structure.circles_of(structure.arrows_of(modules())) == []


def test_what_is_imported_is_listed() -> None:
    """A name that another module takes stands in ``__all__``; what has an underscore stays at home."""
    hidden = {
        f"{name}: {other}.{taken}"
        for name, module in modules().items()
        for other, taken in structure.imports_of(module, modules())
        if taken is not None and taken not in structure.listed(modules()[other])
    }
    assert hidden == set()
