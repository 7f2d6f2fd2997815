"""HTML pages. They read through cairn.access and its kin, and leave nearly all writing to the REST API."""
