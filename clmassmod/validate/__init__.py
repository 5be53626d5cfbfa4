"""Precision of every step, measured against expectations from outside of the package.

``checks`` defines a check and lists them; each other module holds those of one step, ``reference`` the
expectations that several of them share, and ``lab`` what they are run on.
"""

from clmassmod.validate.checks import STEPS, Check, Outcome, checks_of, run, select
from clmassmod.validate.lab import Lab

__all__ = ["STEPS", "Check", "Lab", "Outcome", "checks_of", "run", "select"]
