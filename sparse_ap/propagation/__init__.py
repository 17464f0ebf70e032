"""Message passing: the problem, the loop over sweeps, and the clustering read off its exemplars."""
