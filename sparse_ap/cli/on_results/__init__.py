"""Commands that take a result: new points for its exemplars, a run that goes on with it, an order."""
