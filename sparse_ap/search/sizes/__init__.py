"""Clusters that are neither too large nor too small (docs/design/0018-sizes.md)."""
