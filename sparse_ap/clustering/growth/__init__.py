"""Clusterings that begin with the exemplars of another one."""
