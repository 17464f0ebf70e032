#!/usr/bin/env bash
# Build wheel and sdist, and try both: the wheel in an environment with nothing else, the sdist by its own tests.
#
#   tools/check_package.sh PYTHON TESTING    the second is a Python that has the extras test and lint
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
testing=$PWD/$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$testing" -m build --outdir "$work/dist" >"$work/log" 2>&1 || { tail -40 "$work/log"; exit 1; }
"$testing" -m twine check --strict "$work"/dist/*

echo "The wheel, in an environment of its own:"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet "$work"/dist/*.whl
cp tools/try_package.py "$work"
(cd "$work" && PATH="$work/venv/bin:$PATH" python try_package.py)

echo "The sdist, by its tests:"
tar -xzf "$work"/dist/*.tar.gz -C "$work"
cd "$work"/sparse_ap-*/
"$testing" -c "import os, sparse_ap; assert sparse_ap.__file__.startswith(os.getcwd())"
"$testing" -m pytest --quiet --collect-only >"$work/log" || { tail -40 "$work/log"; exit 1; }
tail -1 "$work/log"
"$testing" -m pytest --quiet --override-ini addopts= tests/test_structure.py tests/test_plotting_sizes.py \
  tests/reference/test_toy.py
