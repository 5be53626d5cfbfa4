"""Examples of binning functions: each takes all fitted profiles and returns label -> members.

A profile has `halo_id`, `parent`, `z`, `mass` (summaries of the fit, e.g. mass["snr"]), `pdf`,
`metadata` (columns of the simulation's own) and `loc`. Members may be profiles, their `loc` or their
`halo_id`. A list of lists is taken too; its bins are named bin0, bin1 …
"""

from itertools import pairwise

REDSHIFTS = [0.2, 0.4, 0.6, 0.8, 1.2]
SIGNAL_TO_NOISE = [-100, 3, 100]


def redshift(profiles):
    """Bins in redshift alone."""
    return {f"z{lo}-{hi}": [p for p in profiles if lo <= p.z < hi] for lo, hi in pairwise(REDSHIFTS)}


def redshift_and_significance(profiles):
    """Bins in redshift and in the signal-to-noise ratio of the fit."""
    bins = {}
    for label, members in redshift(profiles).items():
        for lo, hi in pairwise(SIGNAL_TO_NOISE):
            bins[f"{label}_snr{lo}to{hi}"] = [
                p for p in members if lo <= p.mass.get("snr", float("nan")) < hi
            ]
    return bins
