"""Commands that take a result: new points for its exemplars, and an order of these."""
