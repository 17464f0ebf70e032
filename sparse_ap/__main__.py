"""``python -m sparse_ap`` is ``sparse-ap``."""

from sparse_ap.cli import main

main()
