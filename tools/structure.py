"""Measure the structure of the package: how many rooms there are, and how they hang together.

    python tools/structure.py

Only syntax trees are read; nothing of the package is imported. Imports inside functions, and those that only
type checkers see, count like all others.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent / "sparse_ap"
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


class Module(NamedTuple):
    """A module of the package."""

    name: str
    path: Path
    text: str
    tree: ast.Module


def modules_of(package: Path) -> dict[str, Module]:
    """Read every module below a folder; by dotted name, that of a package without ``__init__``."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, text, ast.parse(text))
    return found


def imports_of(module: Module, known: Mapping[str, Module]) -> Iterator[tuple[str, str | None]]:
    """Yield the modules that a module imports from, each with the name taken; None: the module itself."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (
                    (inner, None)
                    if inner in known and not _defines(known[node.module], alias.name)
                    else (
                        node.module,
                        alias.name,
                    )
                )


def _defines(module: Module, name: str) -> bool:
    return name in listed(module)


def listed(module: Module) -> set[str]:
    """Return the names in a module's ``__all__``."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def arrows_of(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Return which modules each module imports. What only hands names on, an ``__init__``, is left out."""
    rooms = {name: module for name, module in modules.items() if not _is_face(module)}
    return {
        name: {other for other, _ in imports_of(module, modules) if other in rooms and other != name}
        for name, module in rooms.items()
    }


def _is_face(module: Module) -> bool:
    return module.path.name == "__init__.py" and not any(
        isinstance(node, ast.ClassDef) for node in module.tree.body
    )


def circles_of(arrows: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that import each other, directly or not."""
    reach = {name: _reached(name, arrows) for name in arrows}
    circles = {frozenset(other for other in reach[name] if name in reach[other]) for name in arrows}
    return [set(circle) for circle in circles if circle]


def _reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = arrows[waiting.pop()] - reached
        reached |= new
        waiting.extend(new)
    return reached


def longest_chain(arrows: Mapping[str, set[str]]) -> int:
    """Return the number of modules in the longest chain of imports; there must be no circle."""

    @cache
    def height(name: str) -> int:
        return 1 + max((height(other) for other in arrows[name]), default=0)

    return max(height(name) for name in arrows)


def lines_of_code(module: Module) -> int:
    """Count the lines that are neither blank nor comment nor docstring."""
    prose = {line for node in ast.walk(module.tree) for line in _docstring_lines(node)}
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in NOT_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - prose)


def _docstring_lines(node: ast.AST) -> range:
    documented = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    if not isinstance(node, documented) or ast.get_docstring(node, clean=False) is None:
        return range(0)
    return range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


def entries_of(package: Path) -> list[str]:
    """Return what lies in a package's folder, beside the files every package has."""
    every = {"__init__.py", "__main__.py", "py.typed", "__pycache__"}
    return sorted(path.name for path in package.iterdir() if path.name not in every)


def files_by_folder(modules: Mapping[str, Module]) -> dict[Path, int]:
    """Count the modules of each folder."""
    counts: dict[Path, int] = {}
    for module in modules.values():
        counts[module.path.parent] = counts.get(module.path.parent, 0) + 1
    return counts


def function_lengths(modules: Mapping[str, Module]) -> list[int]:
    """Return the lines of every function, docstrings left out."""
    return [
        (node.end_lineno or 0) - node.lineno + 1 - len(_docstring_lines(node))
        for module in modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def main() -> None:
    """Print the figures, one a line."""
    modules = modules_of(PACKAGE)
    arrows = arrows_of(modules)
    circles = circles_of(arrows)
    importers = {name: sum(name in others for others in arrows.values()) for name in arrows}
    lengths = function_lengths(modules)
    figures = {
        "entries at the top": len(entries_of(PACKAGE)),
        "modules": len(modules),
        "modules in the largest folder": max(files_by_folder(modules).values()),
        "lines": sum(module.text.count("\n") for module in modules.values()),
        "lines of code": sum(map(lines_of_code, modules.values())),
        "lines of the longest module": max(module.text.count("\n") for module in modules.values()),
        "lines of a function: median, 90 %, most": f"{statistics.median(lengths):g}, "
        f"{statistics.quantiles(lengths, n=10)[-1]:g}, {max(lengths)}",
        "modules with one importer": sum(count == 1 for count in importers.values()),
        "circles": len(circles),
        "longest chain of imports": "-" if circles else longest_chain(arrows),
    }
    for name, figure in figures.items():
        print(f"{name:42}{figure}")


if __name__ == "__main__":
    main()
