"""Hypothesis draws the same examples each time, and no test depends on how fast the machine is."""

from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
