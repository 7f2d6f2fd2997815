"""Whether the evidence can answer the question; if not, Cairn refuses."""
