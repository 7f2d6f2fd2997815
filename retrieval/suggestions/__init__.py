"""Questions to begin with, which documents that the asker may read do answer."""
