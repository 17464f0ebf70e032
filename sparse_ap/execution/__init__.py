"""Who reads the edges, in how much memory."""
