"""Local search for better exemplars after the messages, and a proven bound on the net similarity."""
