"""Simulation and survey formats, one a file: each returns records in physical units."""
