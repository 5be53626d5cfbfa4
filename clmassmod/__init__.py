"""Calibrate weak-lensing cluster masses on simulated haloes."""

__version__ = "0.1.0"
