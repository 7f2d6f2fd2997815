"""Health checks, through the page and REST."""
