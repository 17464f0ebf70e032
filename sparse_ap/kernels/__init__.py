"""The kernels: everything that is done to edges, one reading of them a file."""
