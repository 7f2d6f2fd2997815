"""Access checks with canary documents, requested by people without access."""
