# %% [markdown]
# # Bias of NFW masses of Diemer–Kravtsov haloes, without noise
#
# A Diemer & Kravtsov (2014) halo is steeper than NFW beyond its splashback radius and has matter
# falling in around it. An NFW profile fitted to its exact reduced shear has another mass. How much
# depends on mass, on the radial range and on the concentration relation. Noise enters through the
# weights of the bins alone: 10 galaxies per arcmin2 at z = 1.

# %%
import numpy as np
from matplotlib import pyplot as plt

import clmassmod as clmm

h = 0.7
cosmology = {"H0": 100 * h, "Om0": 0.3, "Ob0": 0.049, "sigma8": 0.81, "ns": 0.95}
true_mass = np.array([1e14, 3e14, 5e14, 7e14, 9e14, 1.1e15, 2.1e15]) / h  # M200c [Msun]
edges = np.arange(0.7, 3.01, 0.1) / h  # Mpc, physical


# %%
def errors(edges, z, cosmology=cosmology, density=10.0, shape_noise=0.25):
    """Shape noise of annuli (bin,); density per arcmin2."""
    d_lens_mpc = clmm.cosmology.environment(clmm.Cosmology(**cosmology), z).d_lens_mpc
    area = np.pi * np.diff(edges**2) / (d_lens_mpc * np.pi / 180 / 60) ** 2
    return shape_noise / np.sqrt(density * area)


# %% [markdown]
# Exact shears of the haloes: inner profile, and the infalling matter (`outer_norm`) around it. All haloes
# of a setting go into one `CLMassMod`.


# %%
def observe(z=0.25, z_source=1.0, edges=edges, true_mass=true_mass, cosmology=cosmology, **noise):
    """Return a CLMassMod with the noise-free profiles of the haloes; ``noise``: see ``errors``."""
    radius = 0.5 * (edges[1:] + edges[:-1])
    shears = clmm.predict(
        "dk14",
        mass_msun=true_mass,
        concentration="diemer15_orig",
        mass_definition="200c",
        z_lens=z,
        z_source=z_source,
        radius_mpc=radius,
        cosmology=clmm.Cosmology(**cosmology),
        parameters={"outer_norm": 1.0, "outer_slope": 1.5, "mean": True},
    ).g_t
    massmod = clmm.CLMassMod({"cosmology": cosmology, "model": {"profile": "nfw", "concentration": 4}})
    massmod.obs_gamma_theta = clmm.utils.load_gamma_theta(
        {
            "halo_id": [f"m{i}" for i in range(len(true_mass))],
            "radius_mpc": np.tile(radius, (len(true_mass), 1)),
            "g_t": shears,
            "error": np.tile(errors(edges, z, cosmology, **noise), (len(true_mass), 1)),
        },
        z=z,
        columns={"z_source": z_source},
    )
    return massmod


# %% [markdown]
# They are fitted for each relation and each range.


# %%
def ratios(massmod, true_mass, concentration, range_mpc):
    """Best NFW mass over the true one, (mass,)."""
    parameters = {"concentration": concentration, "radius_mpc": list(range_mpc)}
    fits, _ = massmod.fit_mass_profiles("curvefit", parameters)
    return np.array([p.mass["mass_ml_msun"] for p in fits]) / true_mass


RELATIONS = {"c4": 4.0, "duffy08": "duffy08", "diemer15": "diemer15_orig"}
RANGES = {"0.7-3 Mpc/h": (0.7, 3.0), "0.7-1.5 Mpc/h": (0.7, 1.5), "1-3 Mpc/h": (1.0, 3.0)}

massmod = observe()
bias = {
    (name, label): ratios(massmod, true_mass, relation, np.array(ends) / h)
    for name, relation in RELATIONS.items()
    for label, ends in RANGES.items()
}

# %%
fig, panels = plt.subplots(1, len(RANGES), figsize=(12, 3.5), sharey=True, layout="constrained")
for axes, label in zip(panels, RANGES, strict=True):
    for name in RELATIONS:
        axes.plot(true_mass / 1e14, bias[name, label], "o-", label=name)
    axes.axhline(1.0, color="0.6", lw=0.8)
    axes.set(xscale="log", xlabel="true M200c [1e14 Msun]", title=label)
    axes.set_xticks([2, 5, 10, 20], ["2", "5", "10", "20"])
    axes.set_xticks([], minor=True)
panels[0].set_ylabel("M_NFW / M_true")
panels[0].legend()

for key, values in bias.items():
    print(*key, np.round(values, 3))
