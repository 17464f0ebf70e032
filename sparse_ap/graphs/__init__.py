"""Making similarity graphs."""
