"""From upload to index: `documents.submit` creates a job, `jobs` runs it, `parse` and `chunking` read it."""
