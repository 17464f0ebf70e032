"""The command ``demo``, which runs the demonstration."""

from __future__ import annotations

from pathlib import Path

import click

from sparse_ap.cli.options import jobs_option

__all__ = ["demo"]


@click.command()
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-output"),
    show_default=True, help="Folder for map.png, hierarchy.png and clusters.csv.",
)  # fmt: skip
@jobs_option
def demo(output: Path, n_jobs: int | None) -> None:
    """Find the places that stand for the world, and draw them.

    171,075 places (GeoNames, CC BY 4.0), each linked with its 200 nearest. Writes map.png, clusters.csv and,
    of the clusters of clusters, hierarchy.png. Takes about a minute on two cores. Needs matplotlib:
    pip install 'sparse-ap[plot]'.
    """
    from sparse_ap.cli.demo.run import run_demo

    run_demo(output, n_jobs=n_jobs, echo=click.echo)
