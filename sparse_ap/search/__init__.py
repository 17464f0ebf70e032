"""Better exemplars after the messages, and a bound on how good any can be."""
