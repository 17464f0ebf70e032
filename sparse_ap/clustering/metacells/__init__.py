"""Metacells of an AnnData, and how good they are."""
