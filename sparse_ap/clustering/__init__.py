"""The public functions: each opens a graph, runs the solver, and returns a record."""
