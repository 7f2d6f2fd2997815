"""Console pages of sources: lists, setting one up, and how its syncs go."""
