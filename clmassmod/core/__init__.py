"""Pure functions on arrays: no file, no sampler, no cosmology object."""
