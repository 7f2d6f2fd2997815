"""Red team: attacks on a language model through documents and questions, and mechanical criteria."""

from typing import Final

SUITE_VERSION: Final = 2
"""Raise it when earlier results don't count any longer. Before 2, runs couldn't find what they planted."""
