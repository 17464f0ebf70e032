"""Where the edges of a graph live: in memory, on disk, on the workers of a cluster."""
