"""Distribution of the lensing masses of an ensemble of haloes, without truth."""

from clmassmod.ensemble.fit import DEFAULT_PRIOR, check, fit

__all__ = ["DEFAULT_PRIOR", "check", "fit"]
