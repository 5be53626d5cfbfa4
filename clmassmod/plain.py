"""Plain numbers of what users give: lists, masked arrays, quantities with units, seeds."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clmassmod.errors import ClmassmodError, ConfigError, FitError


def filled(values: Any) -> Any:
    """Return numbers with NaN where they are masked; anything else as it is, such as whole identifiers."""
    if hasattr(values, "filled") and values.dtype.kind in "fiu" and np.any(values.mask):
        return values.astype(float).filled(np.nan)
    return values


def as_floats(
    values: Any, name: str, unit: str = "", error: type[ClmassmodError] = FitError
) -> NDArray[np.float64]:
    """Return numbers as floats; masked ones are NaN, quantities of astropy are converted.

    Parameters
    ----------
    values : array_like
    name : str
        What an error calls them.
    unit : str
        What a quantity is converted to; empty: a pure number. Numbers without unit are taken to be in it.
    error : type
        That is raised for values that are no numbers, or of another dimension.
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    given = str(getattr(values, "unit", None) or "")
    try:
        if hasattr(values, "quantity") and given:  # a column of astropy's tables, whose quantity has no mask
            missing = getattr(values, "mask", False)
            return np.where(missing, np.nan, values.quantity.to_value(unit))
        if hasattr(values, "to_value"):
            values = values.to_value(unit)
        return np.asarray(filled(values), dtype=np.float64)
    except (TypeError, ValueError):  # what astropy raises for units that do not convert, too
        wanted = f"numbers in {unit}" if unit else "pure numbers"
        raise error(f"{name}: {f'values in {given!r}' if given else 'the values'} are no {wanted}") from None


def whole_number(value: Any, name: str, least: int = 0) -> int:
    """Return a whole number that is not below ``least``, such as a seed.

    Raises
    ------
    ConfigError
        For anything else.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ConfigError(f"{name} is {value!r}; give a whole number, {least} or above")
    return number
