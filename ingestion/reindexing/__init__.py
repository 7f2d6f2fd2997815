"""Building and synchronizing generations of the vector index."""
