"""Commands that take a result: new points for its exemplars, a result that goes on with them, an order of exemplars."""
