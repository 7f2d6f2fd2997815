"""Routes for documents, imports and jobs."""
