# %% [markdown]
# # How well is one mass measured, and what does the core cost?
#
# The inner radius of a fit trades systematics of the core against signal. Here is the statistical
# price: the width of the posterior of a noise-free NFW cluster of 2e14 Msun, 9.7 galaxies per arcmin2,
# for inner radii of 0.25 to 1 Mpc.

# %%
import numpy as np
from matplotlib import pyplot as plt

import clmassmod as clmm

cosmology = {"H0": 70.0, "Om0": 0.3, "Ob0": 0.049, "sigma8": 0.81, "ns": 0.95}
background = clmm.Cosmology(**cosmology)
mass = 2e14
INNER_MPC, REDSHIFTS = (0.25, 0.5, 0.75, 1.0), (0.3, 0.6)
model_info = {"cosmology": cosmology, "model": {"profile": "nfw", "concentration": "duffy08"}}


# %%
def profile(z, inner, mass=mass, outer=2.5, n_bins=12, beta_s=0.49, density=9.7, shape_noise=0.25):
    """Noise-free profile in linear bins; the errors are those of the galaxies in them."""
    edges = np.linspace(inner, outer, n_bins + 1)
    radius = 0.5 * (edges[1:] + edges[:-1])
    mpc_per_arcmin = clmm.cosmology.environment(background, z).d_lens_mpc * np.pi / 180 / 60
    error = shape_noise / np.sqrt(density * np.pi * np.diff(edges**2) / mpc_per_arcmin**2)
    tables = clmm.tables.Tables(clmm.tables.build(background, z_range=(z, z), structure=False))
    shear = clmm.predict(
        "nfw",
        mass_msun=mass,
        concentration="duffy08",
        mass_definition="200c",
        z_lens=z,
        z_source=tables.source_plane(beta_s, z),  # the one source plane of this beta_s
        radius_mpc=radius,
        cosmology=background,
    ).g_t
    return {"radius_mpc": radius, "g_t": shear, "error": error, "beta_s": beta_s, "beta_s2": beta_s**2}


# %% [markdown]
# A noisy halo's estimate may be negative, so that it is not cut at zero: the likelihood is defined for
# masses of either sign, and so is the posterior here, flat in M.


# %%
masses = np.arange(-5.05e14, 3e15, 1e13)


def precision(z, inner, masses=masses, **survey):
    """Mean and standard deviation of the posterior of M200c [Msun]; for other surveys, see ``profile``."""
    data = profile(z, inner, **survey)
    sources = {name: data.pop(name) for name in ("beta_s", "beta_s2")}
    massmod = clmm.CLMassMod(model_info)
    massmod.obs_gamma_theta = clmm.utils.load_gamma_theta(data, halo_id="halo", z=z, columns=sources)
    ln_like = massmod.session().model.ln_likelihood(massmod.profiles["halo"], masses)
    p = np.exp(ln_like - ln_like.max())
    p /= p.sum()
    mean = p @ masses
    return mean, np.sqrt(p @ (masses - mean) ** 2)


power = {(z, inner): precision(z, inner)[1] for z in REDSHIFTS for inner in INNER_MPC}

# %%
fig, axes = plt.subplots(layout="constrained")
for z in REDSHIFTS:
    widths = np.array([power[z, inner] for inner in INNER_MPC])
    axes.plot(INNER_MPC, widths / power[z, 0.5], "o-", label=f"z = {z}")
    for inner, width in zip(INNER_MPC, widths, strict=True):
        print(f"z = {z}, r > {inner} Mpc: sigma(M200c) = {width:.3e} Msun, {width / mass:.2f} of the mass")
axes.set(xlabel="inner radius of the fit [Mpc]", ylabel="sigma(M) / sigma(M) from 0.5 Mpc")
axes.legend()
