"""The search for nearest neighbours, the same to the bit on any threads and any processor."""
