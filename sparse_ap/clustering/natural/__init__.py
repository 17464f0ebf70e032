"""Natural groups, above the levels that affinity propagation finds."""
