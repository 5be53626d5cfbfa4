"""A small campaign that tests run without Snakemake, step by step."""

from pathlib import Path

from clmassmod.steps.campaign import prepare
from clmassmod.steps.gather import compare_bin, fit_ensemble, make_bins, make_tables
from clmassmod.steps.halos import fit_shard, mock_shard
from clmassmod.steps.reporting import make_report


def small(**changes):
    """A configuration of six synthetic haloes, one survey, one analysis."""
    data = {
        "campaign": "small",
        "seed": 3,
        "cosmology": {"H0": 70, "Om0": 0.3, "Ob0": 0.047, "sigma8": 0.82, "ns": 0.96},
        "simulation": {
            "reader": "analytic",
            "options": {"n_halos": 6, "z": 0.3, "mass_msun": [3e14, 2e15], "mass_function": "flat"},
        },
        "truth": {"mass_definition": "200c"},
        "surveys": {
            "wide": {
                "density_per_arcmin2": 10,
                "shape_noise": 0.25,
                "sources": {"distribution": "smail", "median_z": 1.0},
                "footprint": {"shape": "circle", "radius_arcmin": 9},
            }
        },
        "analyses": {
            "nfw": {
                "survey": "wide",
                "radius_mpc": [0.5, 2.0],
                "radial_bins": {"n": 5},
                "model": {"concentration": 4},
            }
        },
        "bins": {"significance": {"by": {"snr": [-50, 4, 100]}}},
    }
    return {**data, **changes}


def run(data, report=lambda text: None, upto="report"):
    """Run the steps of a campaign in the working directory; return the campaign."""
    campaign = prepare(data, source="test.yaml", project=Path(__file__).parents[2])
    make_tables(campaign)
    for shard in campaign.shards:
        for survey in campaign.surveys:
            mock_shard(campaign, survey, shard, report)
        for analysis in campaign.analyses:
            fit_shard(campaign, analysis, shard, report)
    if upto == "fits":
        return campaign
    for analysis in campaign.analyses:
        make_bins(campaign, analysis, report)
        for label in campaign.bins(analysis):
            fit_ensemble(campaign, analysis, label, report)
            if campaign.has_truth:
                compare_bin(campaign, analysis, label, report)
        for label in campaign.truth_bins:
            compare_bin(campaign, analysis, label, report)
    if upto == "report":
        make_report(campaign)
    return campaign
