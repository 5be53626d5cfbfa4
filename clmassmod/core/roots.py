"""Roots of many functions of one variable at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clmassmod.records import Array


def falling_root(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Return the root of each of many falling functions inside its bracket, to 1e-13.

    False position with the Illinois rule (Dowell & Jarratt 1971, BIT 11, 168), and a bisection every
    third step.

    Parameters
    ----------
    function
        Takes and returns (n,); element i is one function's value. Positive at ``low``, negative at ``high``.
    low, high
        Brackets, (n,).
    """
    f_low, f_high = function(low), function(high)
    middle = 0.5 * (low + high)
    for iteration in range(200):
        width = high - low
        if np.all(width < 1e-13 * (1.0 + np.abs(middle))):
            break
        spread = np.where(f_low == f_high, 1.0, f_low - f_high)
        fraction = 0.5 if iteration % 3 == 2 else np.clip(f_low / spread, 0.0, 1.0)
        middle = low + width * fraction
        value = function(middle)
        if np.all(np.abs(value) < 1e-14):
            break
        right = value >= 0  # the root lies to the right of the new point
        f_high = np.where(right, 0.5 * f_high, value)
        f_low = np.where(right, value, 0.5 * f_low)
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    return middle
