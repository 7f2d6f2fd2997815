"""Jobs: their queue, lifecycle, progress and retries."""
