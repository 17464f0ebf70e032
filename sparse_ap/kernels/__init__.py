"""The kernels: passes over the edges and their compiled loops, and exact sums."""
