# %% [markdown]
# # Real clusters: no truth anywhere
#
# Shear profiles of the SPT clusters that HST observed (Schrabback et al. 2018), about their X-ray
# centres, in magnitude bins with mean beta and beta² each. Put your own files in their place: any table
# with radius, shear, error and how far the sources are. The folder is named by the variable
# CLMASSMOD_PROFILES.

# %%
import os
from pathlib import Path

from matplotlib import pyplot as plt

import clmassmod as clmm

data = Path(os.environ.get("CLMASSMOD_PROFILES", "../shared/data/spt_hst_profiles"))
save_loc = Path("results/notebooks/real_data")

REDSHIFTS = {
    "SPT-CLJ0000-5748": 0.702,
    "SPT-CLJ0102-4915": 0.870,
    "SPT-CLJ0533-5005": 0.881,
    "SPT-CLJ0546-5345": 1.066,
    "SPT-CLJ0559-5249": 0.609,
    "SPT-CLJ0615-5746": 0.972,
    "SPT-CLJ2040-5725": 0.930,
    "SPT-CLJ2106-5844": 1.132,
    "SPT-CLJ2331-5051": 0.576,
    "SPT-CLJ2337-5942": 0.775,
    "SPT-CLJ2341-5119": 1.003,
    "SPT-CLJ2342-5411": 1.075,
    "SPT-CLJ2359-5009": 0.775,
}

# %% [markdown]
# ## Load
#
# The files have no line of names, so we give the names. A row is one radial bin [Mpc] of one magnitude
# bin.

# %%
NAMES = ["radius", "g_t", "g_t_err", "g_x", "g_x_err", "beta", "beta2", "magnitude_bin"]


def load(cluster):
    """Load one cluster's profile about its X-ray centre."""
    return clmm.utils.load_gamma_theta(
        data / f"{cluster}.xraycenter.profile",
        names=NAMES,
        halo_id=cluster,
        z=REDSHIFTS[cluster],
        units={"radius": "Mpc"},
        columns={"error": "g_t_err"},
    )


model_info = {
    "cosmology": {"H0": 70.0, "Om0": 0.3, "Ob0": 0.047, "sigma8": 0.82, "ns": 0.96},
    "model": {"profile": "nfw", "concentration": "diemer19", "nuisance": {"concentration": {"scatter": 0.3}}},
}
massmod = clmm.CLMassMod(model_info)
massmod.obs_gamma_theta = [load(cluster) for cluster in REDSHIFTS]
print(massmod)

# %% [markdown]
# ## Fit, with the concentration's scatter marginalised
#
# A noisy cluster's best mass may be anything, also negative; its likelihood is what counts.

# %%
out_data_profiles, fit_info = massmod.fit_mass_profiles("scan", {"radius_mpc": [0.5, 1.5]}, save_loc)
for p in out_data_profiles:
    mass = p.mass["mass_ml_msun"] / 1e14
    print(f"{p.halo_id}  z = {p.z:.3f}  M200c = {mass:5.1f}e14 Msun  S/N = {p.mass['snr']:4.1f}")
massmod.plot_profile("SPT-CLJ0102-4915")

# %% [markdown]
# ## Stack
#
# Weak shears are noisy one by one; together they show a profile.

# %%
edges = [0.5, 0.7, 0.9, 1.1, 1.3, 1.5]
massmod.deltaSigma, massmod.errSigma, massmod.avgR = massmod.stackTools.stack(
    edges, "woScaling", error="bootstrap"
)
massmod.stackTools.plot()
stacked = massmod.stackTools.fit_stack()
print(f"stack: M200c = {stacked.mass['mass_ml_msun']:.2e} +- {stacked.mass['mass_err_msun']:.1e} Msun")

# %% [markdown]
# ## The population, through every cluster's likelihood

# %%
bin_massmod = clmm.CLMassMod(model_info)
bin_massmod.read([p.loc for p in out_data_profiles])
clust_mass_dist = bin_massmod.ensemble_fit({})
low, high = clust_mass_dist.mean_ln_mass.interval(0.68)
print(f"median mass of the clusters: exp({low:.2f} to {high:.2f}) Msun")
print(clust_mass_dist.metadata["caveat"])
bin_massmod.plot_ensemble()
plt.close("all")
