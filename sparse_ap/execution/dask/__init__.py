"""The executor that runs passes on the workers of a dask cluster (docs/design/0010-clusters.md)."""
