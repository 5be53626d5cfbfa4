"""Bias and scatter of lensing masses against true masses: the only module that sees truth."""

from clmassmod.bias.fit import DEFAULT_PRIOR, check, fit
from clmassmod.bias.statistics import Calibration, calibration
from clmassmod.bias.truth import Truth, read_truth

__all__ = ["DEFAULT_PRIOR", "Calibration", "Truth", "calibration", "check", "fit", "read_truth"]
