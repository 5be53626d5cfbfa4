"""Fitters of a halo's mass: one a file, found by name in the registry ``FITTERS``."""

from clmassmod.fitters.options import check_options
from clmassmod.fitters.result import ln_likelihood
from clmassmod.fitters.summary import quantities

__all__ = ["check_options", "ln_likelihood", "quantities"]
