# %% [markdown]
# # From maps and profiles to the bias of lensing masses
#
# Haloes of known mass are simulated, loaded as four observables, stacked, fitted, binned by a function
# of our own, and each bin's ensemble is compared with truth. The haloes' lensing masses are 0.9 times
# the true ones with a scatter of 0.15: that is what must come out at the end.

# %%
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import yaml
from matplotlib import pyplot as plt

import clmassmod as clmm

folder = Path("results/notebooks/wish")
folder.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## A small simulated catalogue
#
# The configuration needs two keys, `cosmology` and `model`. The survey observes maps; without the key
# there is a default one.

# %%
cosmology = {"H0": 70.0, "Om0": 0.3, "Ob0": 0.047, "sigma8": 0.82, "ns": 0.96}
model = {"profile": "nfw", "concentration": "duffy08"}
survey = {
    "density_per_arcmin2": 10,
    "shape_noise": 0.25,
    "sources": {"distribution": "smail", "median_z": 1.0},
    "footprint": {"shape": "circle", "radius_arcmin": 8},
}
config = {"cosmology": cosmology, "model": model, "survey": survey, "seed": 11}
(folder / "model.yaml").write_text(yaml.safe_dump(config))

BIAS, SCATTER, N = 0.9, 0.15, 60
rng = np.random.default_rng(2024)
halo_id = [f"halo{i:02d}" for i in range(N)]
z = rng.uniform(0.25, 0.45, N)
true_mass = np.exp(rng.uniform(np.log(3e14), np.log(1.5e15), N))  # M200c [Msun]
lensing_mass = true_mass * BIAS * np.exp(SCATTER * rng.normal(size=N))


# %%
def lensing(mass, z_lens, radius_mpc):
    """Lensing of an NFW halo for sources at z = 1."""
    return clmm.predict(
        "nfw",
        mass_msun=mass,
        concentration="duffy08",
        mass_definition="200c",
        z_lens=z_lens,
        z_source=1.0,
        radius_mpc=radius_mpc,
        cosmology=clmm.Cosmology(**cosmology),
    )


n_pixels, pixel_mpc = 120, 0.05
x = (np.arange(n_pixels) - 0.5 * (n_pixels - 1)) * pixel_mpc
distance = np.hypot(x, x[:, np.newaxis])
steps, place = np.unique(distance, return_inverse=True)
radius = np.linspace(0.6, 2.4, 10)  # Mpc
maps = [lensing(m, zz, steps) for m, zz in zip(lensing_mass, z, strict=True)]
profiles = [lensing(m, zz, radius) for m, zz in zip(lensing_mass, z, strict=True)]


# %%
def write(name, attributes=None, **columns):
    """Write columns with units to an HDF5 file."""
    with h5py.File(folder / name, "w") as file:
        file.attrs.update(attributes or {})
        for column, (values, unit) in {
            "halo_id": (np.array(halo_id, "S"), ""),
            "z": (z, ""),
            **columns,
        }.items():
            file[column] = values
            if unit:
                file[column].attrs["unit"] = unit


shape = (n_pixels, n_pixels)
write(
    "mass_maps.h5",
    {"pixel_mpc": pixel_mpc},
    sigma=(np.array([m.sigma_msun_mpc2[place].reshape(shape) for m in maps]), "Msun / Mpc2"),
)
write(
    "kappa_maps.h5",
    {"pixel_mpc": pixel_mpc, "z_source": 1.0},
    kappa=(np.array([m.kappa[place].reshape(shape) for m in maps]), ""),
)
noise = {"g_t": 0.03, "delta_sigma": 6e13}  # of one bin
for name, unit in (("g_t", ""), ("delta_sigma", "Msun / Mpc2")):
    exact = np.array([p.g_t if name == "g_t" else p.delta_sigma_msun_mpc2 for p in profiles])
    write(
        f"{name}.h5",
        {"z_source": 1.0},
        radius=(np.tile(radius, (N, 1)), "Mpc"),
        **{name: (exact + noise[name] * rng.normal(size=exact.shape), unit)},
        error=(np.full(exact.shape, noise[name]), unit),
    )

# %% [markdown]
# ## Load
#
# Every loaded object says what it is and draws itself. Any one observable is enough; several are fitted
# jointly.

# %%
model_info = clmm.utils.load_config(folder / "model.yaml")
massmod = clmm.CLMassMod(model_info)

massmod.obs_mass_map = clmm.utils.load_mass_map(folder / "mass_maps.h5")
massmod.obs_kappa_map = clmm.utils.load_kappa_map(folder / "kappa_maps.h5")
massmod.obs_gamma_theta = clmm.utils.load_gamma_theta(folder / "g_t.h5")
massmod.obs_delta_sigma = clmm.utils.load_delta_sigma(folder / "delta_sigma.h5")
print(massmod)
print(massmod.obs_kappa_map)
massmod.obs_mass_map.plot()

# %% [markdown]
# ## Stack
#
# `woScaling` is the mean excess surface density [Msun / Mpc2] in bins of radius [Mpc]. `wScaling`
# (Niikura et al. 2015) is each cluster in units of its NFW prediction against x = r / r_s, 1 for NFW
# haloes.

# %%
presetX = np.linspace(0.5, 2.5, 7)
massmod.deltaSigma, massmod.errSigma, massmod.avgR = massmod.stackTools.stack(presetX, method="woScaling")
presetX = np.geomspace(0.8, 8.0, 7)
massmod.F, massmod.errF, massmod.avgX = massmod.stackTools.stack(presetX, method="wScaling")

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
massmod.stackTools.plot("woScaling", ax=left)
massmod.stackTools.plot("wScaling", ax=right)

# %% [markdown]
# ## Fit every halo
#
# One file a halo, written as soon as it is fitted. Called again, only what is missing is fitted.

# %%
calc_method, calc_params, save_loc = "scan", {"radius_mpc": [0.5, 2.5]}, folder / "fits"
out_data_profiles, fit_info = massmod.fit_mass_profiles(calc_method, calc_params, save_loc)
massmod.save_mass_profiles(save_loc)

started = time.perf_counter()
massmod.fit_mass_profiles(calc_method, calc_params, save_loc)
print(f"second call: {time.perf_counter() - started:.1f} s")
print(out_data_profiles[0].halo_id, out_data_profiles[0].z, dict(out_data_profiles[0].mass))
massmod.plot_profile()
massmod.plot_posterior()


# %% [markdown]
# ## Bins of our own
#
# The function gets all profiles and returns lists of save locations. The same file serves the
# workflow's key `bins`.


# %%
def bin_all_func(every):
    """Two bins in redshift."""
    return [[p.loc for p in every if p.z < 0.35], [p.loc for p in every if p.z >= 0.35]]


bin_member_locs = clmm.utils.make_bins(out_data_profiles, bin_all_func)
print(bin_member_locs.labels, [len(b) for b in bin_member_locs])

# %% [markdown]
# ## Each bin's ensemble, and its bias
#
# Bins are independent of each other, and can be worked on at the same time.

# %%
truth = dict(zip(halo_id, true_mass, strict=True))


def work(bin_loc):
    """Read one bin, fit its ensemble, compare with truth."""
    bin_massmod = clmm.CLMassMod(model_info)
    bin_mass_profile_data = bin_massmod.read(bin_loc)
    clust_mass_dist = bin_massmod.ensemble_fit(calc_params={})
    likelihoods, posteriors, mass_dist_bias_samps, mass_dist_scatter_samps = bin_massmod.compare(truth)
    assert len(bin_mass_profile_data) == len(likelihoods)
    return bin_massmod, clust_mass_dist, posteriors, mass_dist_bias_samps, mass_dist_scatter_samps


with ThreadPoolExecutor(2) as pool:
    results = list(pool.map(work, bin_member_locs))

for label, (_, clust_mass_dist, _, bias_samps, scatter_samps) in zip(
    bin_member_locs.labels, results, strict=True
):
    low, middle, high = np.quantile(bias_samps, [0.16, 0.5, 0.84])
    print(f"{label}: mean ln M = {clust_mass_dist.mean_ln_mass.mean:.2f}")
    print(f"      bias {middle:.3f} ({low:.3f} to {high:.3f}), scatter {np.median(scatter_samps):.3f}")
results[0][0].plot_ensemble()
results[0][0].plot_bias()

# %% [markdown]
# All haloes together: the bias is consistent with the one that we put in.

# %%
everything = clmm.CLMassMod(model_info)
everything.read(save_loc / "halo*.h5")
likelihoods, posteriors, mass_dist_bias_samps, mass_dist_scatter_samps = everything.compare(truth)
print(f"bias {posteriors.bias.mean:.3f} +- {posteriors.bias.sd:.3f}, put in {BIAS}")
print(f"scatter {posteriors.scatter.mean:.3f} +- {posteriors.scatter.sd:.3f}, put in {SCATTER}")
