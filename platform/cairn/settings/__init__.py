"""`environment()` is how the rest of Cairn learns what the environment says."""

from functools import cache

from cairn.settings.env import ROOT, Environment


@cache
def environment() -> Environment:
    return Environment()


__all__ = ["ROOT", "Environment", "environment"]
