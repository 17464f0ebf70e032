"""Commands that take a result: new points for its exemplars, and a result that goes on with them."""
