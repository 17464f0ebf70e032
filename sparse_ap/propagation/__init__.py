"""Messages passed until they settle, and the exemplars read off them."""
