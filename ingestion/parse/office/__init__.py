"""Word processing and presentation files."""
