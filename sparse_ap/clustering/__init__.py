"""The public functions: check, open, propagate, refine, read out."""
