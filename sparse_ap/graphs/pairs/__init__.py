"""The search for all pairs of points within a distance, by exact comparisons."""
