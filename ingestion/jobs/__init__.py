"""Jobs: their queue, lifecycle, progress and retries. `ingestion.documents.submit` creates them."""
