"""The ingestion pipeline, from a stored file to a searchable version."""
