"""A demonstration: exemplars among the places of the world.

The 171,075 places of GeoNames, each linked to its 200 nearest, are clustered by affinity propagation. The
clusters are drawn as a map and written as a table. Then they are clustered in turn, down to a few, and drawn
as a second map. `run_demo` runs all of this.
"""

from sparse_ap.cli.demo.map import Caption, draw_map
from sparse_ap.cli.demo.places import Places, great_circle_km, load_places, unit_vectors
from sparse_ap.cli.demo.regions import Regions, measure_regions, write_table
from sparse_ap.cli.demo.run import DemoFigures, run_demo

__all__ = [
    "Caption",
    "DemoFigures",
    "Places",
    "Regions",
    "draw_map",
    "great_circle_km",
    "load_places",
    "measure_regions",
    "run_demo",
    "unit_vectors",
    "write_table",
]
