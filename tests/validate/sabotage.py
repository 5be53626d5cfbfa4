"""One mistake for each check of the validation: a changed constant, formula, sign or step of the package."""

import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clmassmod.core.projected import Projected

Change = Callable[[Any], Any]
UNTOUCHED = ("clmassmod.validate.reference",)


@dataclass(frozen=True)
class Sabotage:
    """Names ``module:name`` or ``module:Class.name`` below clmassmod, and what replaces each."""

    changes: tuple[tuple[str, Change], ...]
    fresh: bool = False  # the tables are built with the mistake, too

    def apply(self, monkeypatch) -> None:
        for target, change in self.changes:
            module_name, _, path = target.partition(":")
            module = importlib.import_module(f"clmassmod.{module_name}")
            if "." in path:
                holder, name = path.split(".")
                monkeypatch.setattr(
                    getattr(module, holder), name, change(getattr(module, holder).__dict__[name])
                )
                continue
            if path.endswith("!"):  # in this module alone
                monkeypatch.setattr(module, path[:-1], change(getattr(module, path[:-1])))
                continue
            if path.endswith("]"):
                holder, key = path[:-1].split("[")
                monkeypatch.setitem(getattr(module, holder), key, change(getattr(module, holder)[key]))
                continue
            old = getattr(module, path)
            _everywhere(monkeypatch, old, change(old))


def _everywhere(monkeypatch, old: Any, new: Any) -> None:
    """Replace an object under every name that modules of the package have for it."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "clmassmod" and name not in UNTOUCHED:
            for attribute, value in list(vars(module).items()):
                if value is old:
                    monkeypatch.setattr(module, attribute, new)


def forget() -> None:
    """Empty the caches of functions of the package."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "clmassmod":
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear") and getattr(value, "__module__", "").startswith("clmassmod"):
                    value.cache_clear()


def times(factor):
    """Multiply a constant, or what a function returns."""

    def change(old):
        if not callable(old):
            return old * factor
        return out(lambda v: v * factor)(old)

    return change


def out(edit):
    """Edit what a function returns."""

    def change(old):
        @functools.wraps(old)
        def new(*args, **kwargs):
            return edit(old(*args, **kwargs))

        return new

    return change


def give(edit):
    """Edit the arguments of a function: ``edit(*args)`` returns new ones."""

    def change(old):
        @functools.wraps(old)
        def new(*args, **kwargs):
            return old(*edit(*args), **kwargs)

        return new

    return change


def to(value):
    return lambda _old: value


def one(*changes, fresh=False):
    return Sabotage(tuple(zip(changes[::2], changes[1::2], strict=True)), fresh)


def first(edit):
    """Edit the first of the values that a function returns."""
    return out(lambda r: (edit(r[0]), *r[1:]))


both = out(lambda p: Projected(1.001 * p.sigma, 1.001 * p.delta_sigma))
turned = out(lambda r: (r[0] - 0.01 * r[1], r[1] + 0.01 * r[0]))


def sums(row, factor):
    """Multiply one of the sums over galaxies in bins."""

    def edit(values):
        values = values.copy()
        if len(values) > row:
            values[row] *= factor
        return values

    return one("core.radial:bin_sums", out(edit))


def survey(**factors):
    """Multiply keys of a survey that a function takes."""
    return give(
        lambda s, *rest: (s.model_copy(update={k: getattr(s, k) * f for k, f in factors.items()}), *rest)
    )


NFW = one("core.nfw:shapes", out(lambda r: (1.01 * r[0], 1.01 * r[1])))
NFW_FAR = one("core.nfw:shapes", out(lambda r: (1.1 * r[0], 1.1 * r[1])))
KERNEL = one("core.maps:_shear_kernels", out(lambda k: (1.01 * k[0], 1.01 * k[1])))
NORMAL = one("core.population:normal_pdf!", give(lambda x: (1.05 * x,)))
SQUARE = one("core.shear:reduced_shear", give(lambda s, d, c, b, b2: (s, d, c, b, np.square(b))))
PROJECTION = one("core.quadrature:surface_densities", both)


def stronger(factor):
    """Take the shear of a fitted model for larger than it is."""
    return one("fitters.observables:units", out(lambda u: Projected(u.sigma, factor * u.delta_sigma)))


def errors(factor):
    """Take the noise for smaller than it is."""

    def edit(data):
        whitening = None if data.whitening is None else factor * data.whitening
        return replace(data, error=data.error / factor, whitening=whitening)

    return one("fitters.data:prepare", out(edit))


def truths(factor):
    return one("bias.truth:true_masses", times(factor))


def _wrong_strong(kappa, g1, g2, beta):
    factor = beta / (1.0 - beta * kappa)
    return g1 * factor, g2 * factor


def _without_last(old):
    def gather(fits, *rest):
        given, members = list(fits), old(fits, *rest)
        return replace(members, fits=[f for f in members.fits if f.halo_id != given[-1].halo_id])

    return gather


def _priors(old):
    def with_priors(self, whitened, parameters):
        found = old(self, whitened, parameters)
        found[:, whitened.shape[1] :] *= 0.5
        return found

    return with_priors


def _wrong_gradient(old):
    def call(self, x):
        value, gradient = old(self, x)
        return value, 1.001 * gradient

    return call


def _wrong_store(_old):
    def changed(record, **changes):
        ln_like = {k: v + 1e-3 * np.arange(len(v)) for k, v in record.ln_like.items()}
        return replace(record, ln_like=ln_like, **changes)

    return changed


def _wide(old):
    def ln_likelihoods(kernel, packed, mean, scatter, extra):
        return old(kernel, packed, mean, 1.3 * scatter, extra)

    return ln_likelihoods


SABOTAGES = {
    "tables/constants": one("core.units:G_MPC_KM2_S2_MSUN", times(1.01)),
    "tables/angles": one("core.units:ARCSEC_RAD", times(1.001)),
    "tables/distances": one("core.units:C_KM_S", times(1.001)),
    "tables/lensing_efficiency": one("cosmology.model:_dark_energy_shape", times(1.01)),
    "tables/critical_surface_density": one("core.shear:sigma_crit_msun_mpc2", times(1.001)),
    "tables/densities": one("core.units:critical_density_msun_mpc3", times(1.001)),
    "tables/mass_definitions": one("core.massdef:virial_overdensity", times(1.01)),
    "tables/mass_conversion": one("core.nfw:mass_shape", give(lambda x: (1.001 * np.asarray(x),))),
    "tables/interpolated_distances": one("tables.lookup:C_KM_S!", times(1.01)),
    "tables/source_moments": one("core.redshifts:CHANG13[alpha]", times(1.01)),
    "tables/overdensity_radius": one("core.projected:overdensity_radius_mpc", times(1.001)),
    "tables/power_normalisation": one("cosmology.structure:linear_power_mpc3", times(1.01)),
    "tables/growth": one("cosmology.structure:growth", out(lambda d: d**1.01), fresh=True),
    "tables/nonlinear_power": one("cosmology.halofit:_delta", times(1.01)),
    "tables/peak_height": one("tables.lookup:COLLAPSE_THRESHOLD!", times(1.001)),
    "tables/halo_bias": one("cosmology.structure:tinker10_bias", times(1.01)),
    "tables/two_halo_term": one("cosmology.two_halo:from_template", both),
    "tables/convergence_power": one("cosmology.lss:C_KM_S!", times(1.01)),
    "tables/annulus_means": one("core.lss:_primitive", times(1.001)),
    "tables/tabulated_annulus_means": one("core.lss:_primitive_table", times(1.001)),
    "tables/structure_covariance": one("core.lss:shear_covariance", times(2.0)),
    "tables/tabulated_concentration": one(
        "cosmology.concentration:_DUFFY08[200c]", to((5.72, -0.084, -0.47)), fresh=True
    ),
    "tables/concentration_relations": one("cosmology.concentration:_DUFFY08[vir]", to((7.85, -0.082, -0.71))),
    "tables/concentration_of_other_definitions": one("core.massdef:convert_nfw", first(lambda m: 1.01 * m)),
    "tables/mass_function": one("cosmology.mass_function:abundance", times(1.01)),
    "profiles/nfw_surface_density": one("core.nfw:shapes", first(lambda s: 1.001 * s)),
    "profiles/nfw_series": one("core.nfw:_ARTANH", times(1.001)),
    "profiles/nfw_mass_inside": one("core.nfw:mass_shape", give(lambda x: (1.001 * np.asarray(x),))),
    "profiles/einasto": PROJECTION,
    "profiles/hernquist": one("core.profiles.hernquist:shapes", first(lambda s: 1.001 * s)),
    "profiles/generalised_nfw": PROJECTION,
    "profiles/truncated_nfw": one("core.profiles.tnfw:mass_shape", times(1.001)),
    "profiles/diemer_kravtsov": PROJECTION,
    "profiles/diemer23": PROJECTION,
    "profiles/triaxial_halo": one("core.profiles.elliptical:_derivatives", times(1.001)),
    "profiles/shells_of_constant_density": one("core.shells:project", both),
    "profiles/baryonic_correction": one("core.baryons:_TRUNCATION", times(1.01)),
    "profiles/reduced_shear_of_a_plane": one("core.shear:reduced_shear", give(lambda s, *rest: (-s, *rest))),
    "profiles/reduced_shear_of_many_redshifts": SQUARE,
    "profiles/exact_mean_over_sources": one("core.shear:exact_reduced_shear", times(1.001)),
    "profiles/fixed_offset": one("core.miscentring:_ANGLES", to(8)),
    "profiles/offset_distributions": one(
        "core.miscentring:_distribution", give(lambda r, name, scale: (r, name, 1.02 * scale))
    ),
    "reader/maps_with_factors_of_h": one("readers.units:_BASE[kpc]", to(("length", 1.001e-3))),
    "reader/maps_on_the_sky": one("readers.units:_BASE[arcsec]", to(("angle", 4.85e-6))),
    "reader/default_campaigns_maps": one("readers.grid_hdf5:Hdf5Images.image", out(np.transpose)),
    "reader/profiles_with_factors_of_h": one("readers.units:_BASE[pc]", to(("length", 1.001e-6))),
    "reader/true_masses_with_factors_of_h": one(
        "bias.truth:_read_columns", out(lambda r: (r[0], 1.01 * r[1], r[2]))
    ),
    "reader/particles_on_a_grid": one("core.deposit:_weights", out(lambda r: (r[0], r[1][::-1]))),
    "reader/source_plane_of_profiles": one("cosmology.model:beta", times(1.01)),
    "reader/stored_fits_come_back": one(
        "store.records:profile_from_tree", out(lambda p: replace(p, value=p.value * (1 + 1e-12)))
    ),
    "reader/damaged_files_are_refused": one("store.tree:verify", to(lambda path: path.read_bytes())),
    "reader/masses_follow_the_mass_function": one(
        "cosmology.mass_function:_cumulative", out(lambda v: v**1.1)
    ),
    "reader/concentrations_scatter": one("readers.analytic:Reader._concentration", times(1.02)),
    "reader/synthetic_lensing": NFW,
    "reader/axis_ratios": one("core.axis_ratios:_SD", times(1.1)),
    "reader/subhaloes": one("core.substructure:_SLOPE", to(-0.9)),
    "shear/gaussian_lumps": one("core.maps:_shear_kernels", out(lambda k: (k[0], -k[1]))),
    "shear/part_of_a_map": KERNEL,
    "shear/between_pixels": one("core.maps:_cubic_weights", out(lambda w: w[::-1])),
    "shear/nfw_at_pixels": KERNEL,
    "shear/nfw_in_rings": KERNEL,
    "shear/no_cross_shear": one("core.maps:convergence_to_shear", turned),
    "shear/circular_halo": one("core.fields:CircularField.at", out(lambda v: (v[0], v[1], -v[2]))),
    "shear/nbody_rings": KERNEL,
    "shear/random_field_power": one("core.random_field:ARCMIN_RAD!", times(1.05)),
    "mock/source_density": one("mock.positions:uniform", give(lambda r, b, d, rng: (r, b, 1.01 * d, rng))),
    "mock/uniform_positions": one("mock.positions:uniform", out(lambda p: p._replace(x=0.98 * p.x))),
    "mock/source_redshifts": one("core.redshifts:smail_scale", times(1.01)),
    "mock/lensing_efficiency_of_galaxies": one("tables.lookup:Tables.beta_s", times(1.001)),
    "mock/noise_free_ellipticities": one(
        "mock.shapes:reduced_shears", out(lambda g: (1.01 * g[0], 1.01 * g[1]))
    ),
    "mock/no_cross_ellipticity": one("mock.shapes:reduced_shears", turned),
    "mock/strong_lensing": one("mock.shapes:reduced_shears", to(_wrong_strong)),
    "mock/shape_noise": one("mock.shapes:ellipticities", survey(shape_noise=1.01)),
    "mock/shear_bias": one("mock.shapes:ellipticities", survey(shear_m=1.01)),
    "mock/centre_offsets": one("core.centres:isotropic", give(lambda rng, r: (rng, 1.1 * r))),
    "mock/centre_fraction_and_alignment": one("mock.centre:_aligned", give(lambda a, rng: (-a, rng))),
    "mock/galaxies_about_a_wrong_centre": one(
        "mock.observe:_Scene.to_mpc", lambda old: lambda self, x, y: tuple(-v for v in old(self, -x, -y))
    ),
    "mock/photometric_redshifts": one("mock.sources:photometric", out(lambda z: z + 0.002)),
    "mock/magnification": one(
        "mock.shapes:count_factor",
        give(lambda k, a, b, beta, slope, most: (k, a, b, beta, slope + 0.05, most)),
    ),
    "mock/magnified_counts": one(
        "validate.survey:count_factor",
        give(lambda k, a, b, beta, slope, most: (k, a, b, beta, 1.04 * slope, most)),
    ),
    "mock/cluster_members": one("mock.members:per_background", times(1.1)),
    "mock/magnitudes": one("mock.sources:draw_magnitudes", out(lambda m: m - 0.02)),
    "mock/clustering": one(
        "mock.positions:clustered",
        give(
            lambda r, b, d, c, rng: (r, b, d, c.model_copy(update={"size_arcmin": 1.2 * c.size_arcmin}), rng)
        ),
    ),
    "mock/noise_of_a_real_profile": one(
        "mock.noise_profile:read_noise", out(lambda rows: rows * np.array([1.0, 1.1, 1.0, 1.0, 1.0]))
    ),
    "mock/sz_centres": one("core.centres:ARCMIN_RAD!", times(1.05)),
    "mock/haloes_at_another_redshift": one(
        "core.fields:ScaledField.at", out(lambda v: tuple(1.01 * x for x in v))
    ),
    "measurement/tangential_component": one("core.radial:tangential_cross", out(lambda e: (e[0], -e[1]))),
    "measurement/weighted_means": sums(2, 1.001),
    "measurement/galaxies_one_by_one": one(
        "measure:_each", lambda old: lambda *a: replace(old(*a), error=1.001 * old(*a).error)
    ),
    "measurement/bin_edges": one("core.radial:bin_edges", times(1.001)),
    "measurement/stated_noise": sums(6, 2.0),
    "measurement/noise_variance": sums(6, 0.9),
    "measurement/bootstrap_errors": one("measure:_bootstrap", times(1.2)),
    "measurement/cross_shear": one("core.radial:tangential_cross", turned),
    "measurement/effective_radius": one("measure:_CORE_MPC", to(1.5)),
    "measurement/shear_profile": sums(3, 1.01),
    "measurement/excess_surface_density": sums(1, 1.01),
    "measurement/boost_correction": one("mock.observe:per_background!", times(1.3)),
    "measurement/structure_in_profiles": one("core.lss:shear_covariance", times(1.01)),
    "measurement/convergence_of_pixels": one("pixels:_CORE_MPC", to(3.0)),
    "measurement/noise_of_pixels": one("pixels:ARCMIN_RAD!", times(1.02)),
    "measurement/noise_free_mass_of_pixels": one(
        "fitters.templates:shown!", lambda old: lambda *a: 1.01 * old(*a)
    ),
    "scan/noise_free_mass": NFW,
    "scan/noise_free_mass_by_excess_surface_density": NFW,
    "scan/noise_free_mass_of_single_galaxies": NFW,
    "scan/noise_free_mass_with_many_source_redshifts": one(
        "fitters.observables:units", out(lambda u: Projected(u.delta_sigma, u.delta_sigma))
    ),
    "scan/noise_free_mass_with_a_relation": one(
        "cosmology.concentration:_DUFFY08[200c]", to((6.0, -0.084, -0.47)), fresh=True
    ),
    "scan/likelihood": errors(1.01),
    "scan/likelihood_with_covariance": one("fitters.data:_whitening", times(1.01)),
    "scan/negative_mass": one("fitters.summary:maximum", give(lambda m, p, n, z: (m, n, p, z))),
    "scan/other_mass_definitions": one("core.massdef:convert_nfw", first(lambda m: 1.01 * m)),
    "scan/error_of_the_mass": one(
        "fitters.summary:_crossing", give(lambda m, v, zero, p, way, level: (m, v, zero, p, way, level - 0.1))
    ),
    "scan/posterior_summaries": one(
        "fitters.summary:posterior_summary", out(lambda s: {k: 1.01 * v for k, v in s.items()})
    ),
    "scan/chi_squared_probability": one("fitters.summary:chi2_probability", times(1.001)),
    "scan/grid_statistics": one("core.gridstats:summarise", out(lambda s: s._replace(mode=s.mode + 0.02))),
    "scan/scatter_of_concentration": one(
        "fitters.nuisance:_places",
        give(lambda low, high, s, *rest: (1.5 * low, 1.5 * high, s, *rest[:2], 1.5 * rest[2])),
    ),
    "scan/free_concentration": one("fitters.nuisance:_legendre", first(lambda x: 0.8 * x)),
    "scan/shear_calibration": one(
        "fitters.marginal:_calibrated", give(lambda x, y, mean, sd: (x, y, mean, 1.3 * sd))
    ),
    "scan/distributions_of_offsets": one(
        "fitters.nuisance:_offsets",
        lambda old: lambda name, scale, share, n: old(name, 1.01 * scale, share, n),
    ),
    "scan/offset_of_the_centre": one(
        "fitters.nuisance:_offsets",
        lambda old: lambda name, scale, share, n: old(name, 1.3 * scale, share, n),
    ),
    "scan/two_halo_amplitude": one("fitters.marginal:_with_slope", out(lambda r: (0.9 * r[0], 0.9 * r[1]))),
    "scan/noise_of_structure": one("core.lss:tabulated_annulus_filter", times(1.01)),
    "scan/calibration": errors(1.5),
    "scan/coverage_of_intervals": errors(1.5),
    "scan/joint_profiles": one("fitters.data:as_profiles", out(lambda p: p[:1])),
    "curvefit/noise_free_mass": NFW,
    "curvefit/noise_free_mass_and_concentration": NFW,
    "curvefit/covariance_of_parameters": one("fitters.curvefit:_covariance", times(1.01)),
    "curvefit/errors_with_priors": one("fitters.residuals:Residuals._with_priors", _priors),
    "curvefit/pulls": errors(1.4),
    "curvefit/chi_squared": errors(1.01),
    "nuts/density": errors(1.02),
    "nuts/gradient": one("fitters.density:HaloDensity.__call__", _wrong_gradient),
    "nuts/posterior": errors(1.3),
    "nuts/noise_free_mass": NFW_FAR,
    "nuts/stored_likelihood": one("fitters.nuts:replace!", _wrong_store),
    "ensemble/grid_posterior": NORMAL,
    "ensemble/sampled_posterior": one("ensemble.density:ln_likelihoods!", _wide),
    "ensemble/marginal_likelihood": NORMAL,
    "ensemble/redshift_trend": one("ensemble.fit:redshift_regressor", first(lambda x: -x)),
    "ensemble/grids_of_other_codes": one(
        "core.likelihoods:_Group._evaluate",
        lambda old: lambda self, x, ln_like: old(self, x + 1.0 / len(self.node), ln_like),
    ),
    "ensemble/order_of_haloes": one("ensemble.members:gather", _without_last),
    "comparison/grid_posterior": NORMAL,
    "comparison/grid_against_sampler": one("ensemble.density:ln_likelihoods!", _wide),
    "comparison/injected_bias_and_scatter": truths(1.1),
    "comparison/injected_trends": one("ensemble.fit:redshift_regressor", first(lambda x: -x)),
    "comparison/heavy_tails": one("core.population:student_pdf!", give(lambda x, nu: (x, 5.0 * nu))),
    "comparison/mixture": truths(1.1),
    "comparison/projections_of_one_halo": one("core.population:each", give(lambda t, b, s: (t, b, 1.1 * s))),
    "comparison/injected_common_scatter": truths(1.1),
    "comparison/likelihoods_times_a_power_of_mass": NORMAL,
    "comparison/ranks_of_bias_and_scatter": truths(1.1),
    "comparison/coverage_of_bias_and_scatter": truths(1.1),
    "comparison/probability_integral_transforms": one("core.gridstats:cumulative", out(lambda v: v**1.3)),
    "comparison/tests_of_uniformity": one("core.calibration:anderson_darling", times(1.01)),
    "comparison/coverage_and_ranks": one(
        "core.calibration:rank_test", out(lambda r: r._replace(chi2=1.01 * r.chi2))
    ),
    "comparison/distributions_of_pulls": one("core.pullfits:fit_pulls", give(lambda x: (1.1 * x,))),
    "comparison/bootstrap_over_parents": one("core.bootstrap:group_counts", out(np.ones_like)),
    "comparison/stacked_bias": one("bias.statistics:_peak", out(lambda v: v + 0.01)),
    "end_to_end/closure_without_noise": stronger(1.02),
    "end_to_end/closure_bias": stronger(1.1),
    "end_to_end/closure_scatter": errors(3.0),
    "end_to_end/comparison_of_the_workflow": one(
        "steps.gather:read_truth_of!",
        out(lambda t: replace(t, masses_msun={k: 1.01 * v for k, v in t.masses_msun.items()})),
    ),
    "end_to_end/known_biases": one("mock.shapes:reduced_shears", out(lambda g: (1.05 * g[0], 1.05 * g[1]))),
    "end_to_end/determinism": one("config.seeds:halo_rng", to(lambda *_names: np.random.default_rng())),
    "end_to_end/nbody_haloes": one("core.maps:_shear_kernels", out(lambda k: (1.05 * k[0], 1.05 * k[1]))),
}
