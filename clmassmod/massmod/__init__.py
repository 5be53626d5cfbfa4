"""The notebook's object: one cluster, or all clusters of a stack or bin."""

from clmassmod.massmod.cluster import CLMassMod
from clmassmod.massmod.stacking import StackTools

__all__ = ["CLMassMod", "StackTools"]
