"""Errors that a user can act on: one line that names file, key, value and remedy."""

from __future__ import annotations


class ClmassmodError(Exception):
    """Base of all errors that the command line shows as one line, without a traceback."""

    exit_code = 1


class ConfigError(ClmassmodError, ValueError):
    """A configuration, option or argument is wrong; a ValueError, so that pydantic names the key."""

    exit_code = 2


class ReaderError(ClmassmodError):
    """An input file of a simulation or survey cannot be used."""

    exit_code = 3


class StoreError(ClmassmodError):
    """A result file is missing, truncated, foreign or damaged."""

    exit_code = 4


class FitError(ClmassmodError):
    """A halo, ensemble or comparison cannot be computed from what was given."""

    exit_code = 5


class TruthError(ClmassmodError):
    """True masses are missing, or are not of the definition that was fitted."""

    exit_code = 6


class OutdatedError(ClmassmodError):
    """A job's inputs or configuration changed under it, or the run that it belongs to is no more."""

    exit_code = 7


class ValidationError(ClmassmodError):
    """A check of the validation did not pass."""

    exit_code = 8


class InputChangedError(OutdatedError):
    """A file that a job reads is not what it was when the campaign was prepared."""
