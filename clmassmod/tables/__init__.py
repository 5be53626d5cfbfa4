"""What is computed once a campaign and interpolated in every halo's job, with numpy alone."""

from clmassmod.tables.build import build
from clmassmod.tables.lookup import Tables

__all__ = ["Tables", "build"]
