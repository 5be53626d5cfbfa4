"""Bias and scatter of lensing masses against true masses: the only module that sees truth."""

from clmassmod.bias.fit import DEFAULT_PRIOR, check, fit
from clmassmod.bias.shift import Shift, influence, shift
from clmassmod.bias.statistics import Calibration, calibration
from clmassmod.bias.truth import Truth, read_truth

__all__ = [
    "DEFAULT_PRIOR",
    "Calibration",
    "Shift",
    "Truth",
    "calibration",
    "check",
    "fit",
    "influence",
    "read_truth",
    "shift",
]
