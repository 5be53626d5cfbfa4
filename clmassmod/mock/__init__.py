"""Mock observation: a halo's lensing becomes a catalogue of source galaxies."""

from clmassmod.mock.observe import observe

__all__ = ["observe"]
