"""Pages about tests of language models: attacks, and comparisons."""
