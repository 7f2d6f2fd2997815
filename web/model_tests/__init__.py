"""Tests of language models: attacks, and comparisons over gold questions."""
