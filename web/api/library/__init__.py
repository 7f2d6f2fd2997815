"""Routes for documents, uploads, imports and jobs."""
