"""HTML pages. They read through cairn.access and similar modules; nearly all writing is left to the REST
API.
"""
