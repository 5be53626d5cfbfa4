"""Density profiles beside NFW, one a file; each module ends with the PROFILE that the registry names."""
