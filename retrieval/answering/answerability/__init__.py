"""Whether the evidence can answer the question."""
