"""A demonstration: exemplars among the places of the world.

The 171,075 places of GeoNames, each linked to its 200 nearest, are clustered by affinity propagation. The
clusters are drawn as a map and written as a table. Then they are clustered in turn, down to a few, and drawn
as a second map. `run_demo` of ``run`` does all of this.
"""
