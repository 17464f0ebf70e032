"""How long a newcomer waits: a new environment, the installation, README.md's first example, its picture.

Nothing is taken from where this program runs but the checkout: pip's cache, compiled kernels and settings of
Python, numba and matplotlib are left aside. Exits with 1 if the example prints what README.md does not say.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import seconds

CHECKOUT = Path(__file__).parents[1]
INSTALLED = ("pyproject.toml", "README.md", "LICENSE", "sparse_ap", "setup.py")
EXAMPLE = re.compile(r"^```python\n(.*?)^```\n+^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLOT = """
from sparse_ap.plotting import plot_clustering

plot_clustering(points, clustering).figure.savefig("clustering.png")
"""


def main() -> None:
    """Walk the path and print a row a step."""
    example, promised = first_example()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        source = copy_checkout(folder)
        print("| step | seconds |\n|---|---|", flush=True)
        row("python -m venv", lambda: venv.create(folder / "venv", with_pip=True))
        row("pip install '.[plot]', nothing cached", lambda: install(python, f"{source}[plot]"))
        printed = [
            row(f"README.md's first example, {run} run", lambda: run_code(python, example, folder))
            for run in ("first", "second")
        ]
        printed.append(row("the same and its picture", lambda: run_code(python, example + PLOT, folder)))
        print(f"\npicture: {(folder / 'clustering.png').stat().st_size / 1e3:.0f} kB")
    if set(printed) != {promised}:
        sys.exit(f"README.md says\n{promised}\nbut what was printed is\n" + "\n".join(sorted(set(printed))))
    print("printed: what README.md says")


def first_example() -> tuple[str, str]:
    """Return README.md's first Python block that has an output, and the output."""
    found = EXAMPLE.search((CHECKOUT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    return found[1], found[2]


def copy_checkout(folder: Path) -> Path:
    """Copy what gets installed: pip leaves files behind where it builds."""
    source = folder / "sparse-ap"
    source.mkdir()
    for path in (CHECKOUT / name for name in INSTALLED):
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    return source


def row(step: str, work: Callable[[], Any]) -> Any:
    """Print how long a step takes; return what it returns."""
    results: list[Any] = []
    print(f"| {step} | {seconds(lambda: results.append(work())):.1f} |", flush=True)
    return results[0]


def install(python: Path, what: str) -> None:
    """Install from the package index, downloading everything."""
    subprocess.run([python, "-m", "pip", "install", "-qq", "--no-cache-dir", what], check=True)


def run_code(python: Path, code: str, folder: Path) -> str:
    """Run some code in a process of its own; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {"MPLBACKEND": "agg", "MPLCONFIGDIR": str(folder / "matplotlib")}
    script = folder / "example.py"
    script.write_text(code, encoding="utf-8")
    # -I: no PYTHONPATH, nothing from the current folder.
    done = subprocess.run(
        [python, "-I", script], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
