"""Stores: the edges of a graph in memory, on disk, or on the workers of a cluster."""
