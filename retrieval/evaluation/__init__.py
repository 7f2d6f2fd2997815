"""Evaluation: quality of search and answers on questions with known answers."""
