"""Checks that nobody sees what they may not: canaries are put in and asked for by people who may not."""
