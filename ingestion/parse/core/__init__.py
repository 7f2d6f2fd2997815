"""What all parsers share: formats, limits, failures and the rendition they build."""
