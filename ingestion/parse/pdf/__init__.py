"""The PDF parser."""
