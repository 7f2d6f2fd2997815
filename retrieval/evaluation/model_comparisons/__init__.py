"""Comparisons of two models over gold questions: their results, and the verdicts that count."""
