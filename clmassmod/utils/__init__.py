"""Names of the notebook: configuration, loading, bins, conversion."""

from clmassmod.bins import by_edges, by_quantiles
from clmassmod.readers.clmm import from_clmm, to_clmm
from clmassmod.steps.members import BinMembers, BinningWarning
from clmassmod.utils.bins import (
    make_bins,
    mass_bins,
    product_bins,
    quantile_bins,
    redshift_bins,
    richness_bins,
    snr_bins,
)
from clmassmod.utils.loading import (
    load_config,
    load_delta_sigma,
    load_gamma_theta,
    load_kappa_map,
    load_mass_map,
)

__all__ = [
    "BinMembers",
    "BinningWarning",
    "by_edges",
    "by_quantiles",
    "from_clmm",
    "load_config",
    "load_delta_sigma",
    "load_gamma_theta",
    "load_kappa_map",
    "load_mass_map",
    "make_bins",
    "mass_bins",
    "product_bins",
    "quantile_bins",
    "redshift_bins",
    "richness_bins",
    "snr_bins",
    "to_clmm",
]
