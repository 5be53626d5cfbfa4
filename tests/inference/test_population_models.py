"""Trends, heavy tails and mixtures: gradients, recovery, and agreement of the two methods."""

import numpy as np
import pytest
from lenses import numeric_gradient
from scipy.stats import norm
from scipy.stats import t as student_t

from clmassmod import bias, ensemble
from clmassmod.core.likelihoods import LikelihoodTable
from clmassmod.core.population import ln_population
from clmassmod.ensemble import kernels
from clmassmod.ensemble.density import Design, PopulationDensity
from clmassmod.ensemble.grid import locate_normal
from clmassmod.ensemble.models import EXTRA_PRIORS, parse
from clmassmod.ensemble.nuts import _least_scatter
from clmassmod.ensemble.packed import pack
from clmassmod.errors import ConfigError
from clmassmod.records import HaloFit

pytestmark = pytest.mark.inference

PRIOR = {
    "ln_bias": (-1.0, 1.0),
    "scatter": (0.01, 10.0),
    "ln_bias_mass": (-2.0, 2.0),
    "ln_scatter_mass": (-2.0, 2.0),
}


def table_of(made):
    return LikelihoodTable([(f.mass_msun, f.ln_like["200c"]) for f in made.fits], made.ln_true)


def density_of(made, name, projections=1, least=0.05):
    model = parse(name)
    columns = [np.ones(len(made.fits))] + ([made.ln_true - made.ln_true.mean()] if model.trend else [])
    trend = ("mass",) if model.trend else ()
    design = Design(
        np.column_stack(columns),
        ("ln_bias", *(f"ln_bias_{t}" for t in trend)),
        np.column_stack(columns),
        ("scatter", *(f"ln_scatter_{t}" for t in trend)),
    )
    starts = np.arange(0, len(made.fits), projections)
    return PopulationDensity(
        table_of(made), design, model, {**PRIOR, **EXTRA_PRIORS[model.kernel]}, starts, least
    )


@pytest.mark.parametrize("projections", [1, 3])
@pytest.mark.parametrize(
    "name", ["constant", "trend", "student", "trend+student", "mixture", "trend+mixture"]
)
def test_gradient_is_that_of_the_density(population, name, projections):
    made = population(
        n=60, projections=projections, correlation=0.5 if projections > 1 else 0.0, noise=(0.2, 1.5), seed=1
    )
    density = density_of(made, name, projections)
    rng = np.random.default_rng(2)
    size = len(density.names) + (20 if projections > 1 else 0)
    start = density.start({"ln_bias": -0.1, "scatter": 0.3})
    assert len(start) == size
    for _ in range(2):
        x = start + 0.3 * rng.normal(size=size)
        _, gradient = density(x)
        numeric = numeric_gradient(density, x, 1e-5, n=10)
        assert gradient[:10] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["constant", "student"])
def test_compiled_density_is_that_of_the_grid(population, name):
    made = population(n=80, noise=(0.2, 1.5), seed=3)
    density, table = density_of(made, name), table_of(made)
    difference = []
    for z in ([0.1, -1.0, 0.3], [-0.2, -0.5, -0.4], [0.0, -0.8, 1.5]):
        x = np.array(z[: len(density.names)])
        value = density.expand(x)
        logistic = np.sum(-np.abs(x) - 2 * np.log1p(np.exp(-np.abs(x))))
        b, s = np.array([value["ln_bias"]]), np.array([value["scatter"]])
        difference.append(
            density(x)[0] - logistic - ln_population(table, b, s, value.get("student_nu"))[0, 0]
        )
    assert difference == pytest.approx([0, 0, 0], abs=1e-4)


@pytest.mark.parametrize("name", ["constant", "student"])
@pytest.mark.parametrize("shift", [1.0, 1.7, 2.6, 4.0])
def test_far_haloes_count_as_on_the_grid(population, name, shift):
    """No method drops a halo that the other one still feels: one outlier would dictate the scatter."""
    made = population(n=20, noise=(0.1, 0.2), seed=6)
    grid = made.fits[0].mass_msun
    far = -0.5 * ((np.log(grid) - made.ln_true[0] - shift) / 0.1) ** 2
    made.fits[0] = HaloFit.from_likelihood("h00000", 0.3, grid, far)
    density = density_of(made, name)
    x = density.start({"ln_bias": 0.0, "scatter": 0.15, "student_nu": 30.0})
    value = density.expand(x)
    logistic = np.sum(-np.abs(x) - 2 * np.log1p(np.exp(-np.abs(x))))
    b, s = np.array([value["ln_bias"]]), np.array([value["scatter"]])
    on_grid = ln_population(table_of(made), b, s, value.get("student_nu"))[0, 0]
    assert density(x)[0] - logistic == pytest.approx(on_grid, abs=2e-3)


def test_narrow_cores_are_resolved():
    """A constant normal scatter is several times the core of heavy tails: the sampler must go below it."""
    rng = np.random.default_rng(3)
    grid = np.geomspace(1e12, 2e16, 400)
    for name, deviates in (
        ("student", 0.1 * rng.standard_t(2.0, 400)),
        ("mixture", np.where(rng.random(400) < 0.15, 0.8, 0.1) * rng.normal(size=400)),
    ):
        centre = np.log(3e14) + deviates + 0.1 * rng.normal(size=400)
        curves = [(grid, -0.5 * ((np.log(grid) - c) / 0.1) ** 2) for c in centre]
        table = LikelihoodTable(curves, np.full(400, np.log(3e14)))
        prior = {**PRIOR, **EXTRA_PRIORS[name]}
        edges, constant = locate_normal(table, "ln_bias", prior)
        assert np.exp(constant.y[0]) > 0.15
        assert _least_scatter(table, parse(name), prior, edges, constant) < 0.06


def test_strides_give_the_integral_over_all_nodes(population):
    """Each halo at the stride that its own width and scatter allow: the same as a fine trapezoid sum."""
    made = population(n=80, noise=(0.1, 1.5), seed=4)
    table = table_of(made)
    y = np.linspace(table.y_lo.min(), table.y_hi.max(), 700)
    step = y[1] - y[0]
    edges = np.column_stack([table.at_lo, table.at_hi])
    packed = pack(y[0], step, table(y), table.width, edges)
    assert len(packed.strides) > 4
    rng = np.random.default_rng(5)
    mean, scatter = rng.uniform(-0.3, 0.3, 80), np.geomspace(0.05, 3.0, 80)
    fine = np.linspace(y[0], y[-1], 200_001)
    for i in range(80):
        weight = norm.pdf(fine, mean[i], scatter[i])
        inside = np.trapezoid(table.take(np.array([i]))(fine)[0] * weight, fine)
        below, above = norm.cdf(y[0], mean[i], scatter[i]), norm.sf(y[-1], mean[i], scatter[i])
        direct = np.log(inside + edges[i] @ [below, above])
        one = pack(y[0], step, table(y)[[i]], table.width[[i]], edges[[i]])
        total, *_ = kernels.ln_likelihoods("normal", one, mean[[i]], scatter[[i]], np.zeros(0))
        assert total == pytest.approx(direct, abs=2e-5)  # cubics between the stored masses are not smooth
    one_by_one = packed._replace(strides=packed.strides[:1], place=packed.place[:1])
    for name, extra in (("normal", []), ("student", [2.0]), ("student", [6.0]), ("student", [80.0])):
        whole = kernels.ln_likelihoods(name, packed, mean, scatter, np.array(extra))[0]
        every = kernels.ln_likelihoods(name, one_by_one, mean, scatter, np.array(extra))[0]
        assert whole == pytest.approx(every, abs=1e-5)  # of 80 haloes


@pytest.mark.parametrize("nu", [2.0, 5.0, 90.0])
def test_students_of_haloes_with_scatters_of_their_own(population, nu):
    """The table of Student's t against scipy's integral, with likelihoods that end within its tails."""
    made = population(n=30, noise=(0.2, 1.5), seed=4)
    density, table = density_of(made, "trend+student"), table_of(made)
    x = density.start({"ln_bias": -0.1, "scatter": 0.3, "student_nu": nu, "ln_scatter_mass": 0.7})
    value = density.expand(x)
    assert value["student_nu"] == pytest.approx(nu, rel=0.1)
    logistic = np.sum(-np.abs(x) - 2 * np.log1p(np.exp(-np.abs(x))))
    spread = value["scatter"] * np.exp(value["ln_scatter_mass"] * (made.ln_true - made.ln_true.mean()))
    y = np.linspace(table.y_lo.min(), table.y_hi.max(), 20_001)
    ends = student_t(value["student_nu"], value["ln_bias"], spread)
    inside = table(y) * student_t.pdf(y[:, None], value["student_nu"], value["ln_bias"], spread).T
    whole = np.trapezoid(inside, y) + table.at_lo * ends.cdf(y[0]) + table.at_hi * ends.sf(y[-1])
    assert density(x)[0] - logistic == pytest.approx(np.log(whole).sum(), abs=2e-4)


def test_student_grid_against_a_plain_integral(population):
    made = population(n=12, noise=(0.2, 2.0), seed=4)
    y = np.linspace(-60, 60, 400_001)
    found = ln_population(table_of(made), np.array([0.1]), np.array([0.3]), nu=3.0)[0, 0]
    total = 0.0
    for i, fit in enumerate(made.fits):
        ln_mass = np.log(fit.mass_msun)
        values = np.clip(y + made.ln_true[i], ln_mass[0], ln_mass[-1])
        ln_like = -0.5 * ((values - made.offset[i] - made.ln_true[i]) / made.noise[i]) ** 2
        # relative to the largest stored one, as the table has it
        top = (-0.5 * ((ln_mass - made.offset[i] - made.ln_true[i]) / made.noise[i]) ** 2).max()
        density = student_t.pdf((y - 0.1) / 0.3, 3.0) / 0.3
        total += np.log(np.trapezoid(np.exp(ln_like - top) * density, y))
    # the tails beyond the plain integral's ends hold 1e-6
    assert found == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("projections", [1, 3])
def test_sampler_and_grid_agree(population, projections):
    made = population(
        n=120, projections=projections, correlation=0.5 if projections > 1 else 0.0, seed=5, scatter=0.3
    )
    grid = bias.fit(made.fits, made.truth)
    drawn = bias.fit(made.fits, made.truth, method="nuts", seed=2)
    assert not [w for w in drawn.warnings if "chains" in w]
    assert drawn.samples["ln_bias"].shape == (4000,)
    for name in ("ln_bias", "ln_scatter"):
        # bulk ESS is above 1,500 for both: Monte Carlo error 0.026 sd
        assert drawn.diagnostics["ess_bulk"] > 400
        shift = (drawn.mean[name] - grid.mean[name]) / grid.sd[name]
        print(f"{name}: {shift:+.3f} sd, sd by {drawn.sd[name] / grid.sd[name] - 1:+.3f}")
        assert abs(shift) < 0.05 + 2.5 / np.sqrt(drawn.diagnostics["ess_bulk"])
        assert drawn.sd[name] == pytest.approx(grid.sd[name], rel=0.12)


def trending(seed, n=500, slope_b=0.15, slope_s=0.3, noise=0.25):
    rng = np.random.default_rng(seed)
    ln_true = np.log(2e14) + rng.uniform(-0.8, 1.2, n)
    z = rng.uniform(0.2, 0.9, n)
    x = ln_true - np.median(ln_true)
    w = np.log1p(z) - np.log1p(np.median(z))
    mean = -0.1 + slope_b * x - 0.5 * w
    sigma = 0.25 * np.exp(slope_s * x)
    centre = ln_true + mean + sigma * rng.normal(size=n) + noise * rng.normal(size=n)
    grid = np.geomspace(1e12, 2e16, 400)
    fits = [
        HaloFit.from_likelihood(f"h{i}", z[i], grid, -0.5 * ((np.log(grid) - centre[i]) / noise) ** 2)
        for i in range(n)
    ]
    return fits, {f"h{i}": float(np.exp(m)) for i, m in enumerate(ln_true)}


def test_trends_are_recovered_and_their_absence_is_refused():
    fits, truth = trending(seed=6)
    post = bias.fit(fits, truth, model="trend", method="nuts", seed=3)
    expected = {
        "ln_bias": -0.1,
        "ln_bias_mass": 0.15,
        "ln_bias_z": -0.5,
        "ln_scatter": np.log(0.25),
        "ln_scatter_mass": 0.3,
        "ln_scatter_z": 0.0,
    }
    assert post.warnings == ()
    for name, value in expected.items():
        pull = (post.mean[name] - value) / post.sd[name]
        print(f"{name}: {post.mean[name]:+.3f} +- {post.sd[name]:.3f}, expected {value:+.3f}")
        assert abs(pull) < 3.5
    assert abs(post.mean["ln_bias_mass"] / post.sd["ln_bias_mass"]) > 4


def test_one_redshift_has_no_trend_with_it(population):
    made = population(n=80, seed=7)
    post = bias.fit(made.fits, made.truth, model="trend", method="nuts", seed=1)
    assert "ln_bias_z" not in post.names
    assert post.metadata["left_out_trends"] == "z"


def test_outliers_widen_a_normal_scatter_but_not_a_heavy_tailed_one(population):
    """One halo in ten scatters by 1.5: Student's t keeps the core's width."""
    rng = np.random.default_rng(8)
    made = population(n=400, noise=(0.1, 0.2), seed=8)
    far = rng.random(400) < 0.1
    shift = 1.5 * rng.normal(size=400)
    fits = [
        HaloFit.from_likelihood(f.halo_id, f.z, f.mass_msun * np.exp(s), f.ln_like["200c"]) if out else f
        for f, out, s in zip(made.fits, far, shift, strict=True)
    ]
    normal = bias.fit(fits, made.truth)
    student = bias.fit(fits, made.truth, model="student")
    print(f"scatter {normal.scatter.mean:.3f} normal, {student.scatter.mean:.3f} Student's t")
    assert normal.scatter.mean > 0.4
    assert student.scatter.mean < 0.26
    assert student.student_nu.mean < 5
    assert abs((student.ln_bias.mean - np.log(0.93)) / student.ln_bias.sd) < 3.5
    assert student.ln_bias.sd < normal.ln_bias.sd


def test_ensemble_recovers_mean_and_scatter(population):
    rng = np.random.default_rng(9)
    n, grid = 400, np.geomspace(1e12, 2e16, 400)
    centre = np.log(4e14) + 0.3 * rng.normal(size=n) + 0.4 * rng.normal(size=n)
    fits = [
        HaloFit.from_likelihood(f"h{i}", 0.2 + 0.001 * i, grid, -0.5 * ((np.log(grid) - c) / 0.4) ** 2)
        for i, c in enumerate(centre)
    ]
    post = ensemble.fit(fits)
    assert abs((post.mean_ln_mass.mean - np.log(4e14)) / post.mean_ln_mass.sd) < 3.5
    assert abs((post.scatter.mean - 0.3) / post.scatter.sd) < 3.5
    assert "must come from the comparison with truth" in post.metadata["caveat"]
    trend = ensemble.fit(fits, model="trend", method="nuts", seed=1)
    assert abs(trend.mean["mean_ln_mass_z"] / trend.sd["mean_ln_mass_z"]) < 3.5


def test_what_the_grid_cannot_do_is_said(population):
    made = population(n=9, projections=3, seed=10)
    with pytest.raises(ConfigError, match="use method 'nuts'"):
        bias.fit(made.fits, made.truth, model="trend")
    with pytest.raises(ConfigError, match="needs method 'nuts'"):
        bias.fit(made.fits, made.truth, model="student")
    with pytest.raises(ConfigError, match="did you mean 'student'"):
        bias.fit(made.fits, made.truth, model="students")


def test_arviz_gets_all_draws(population):
    made = population(n=30, seed=11)
    for method in ("grid", "nuts"):
        data = bias.fit(made.fits, made.truth, method=method).to_arviz()
        assert data.posterior["scatter"].shape == (4, 1000)
        assert data.posterior.attrs["model"] == "constant"


@pytest.mark.parametrize(
    ("name", "ends"),
    [("outlier_fraction", (-1, 3)), ("outlier_ratio", (0.01, 1)), ("outlier_ratio", (0.5, 9))],
)
def test_priors_end_where_the_model_does(name, ends):
    with pytest.raises(ConfigError, match=f"prior.{name}: .* is not within"):
        bias.check("mixture", "nuts", {name: ends})


def test_wrong_models_are_refused_before_any_halo_is_looked_at():
    bias.check("trend", "nuts", {"ln_bias_z": (-1.0, 1.0)})
    ensemble.check("student", "grid", {"student_nu": (2.0, 30.0)})
    for module, arguments, message in (
        (bias, ("trend", "grid", {}), "use method 'nuts'"),
        (bias, ("constant", "grid", {"ln_bias_z": (-1.0, 1.0)}), "no parameter 'ln_bias_z'"),
        (ensemble, ("trends", "nuts", {}), "did you mean 'trend'"),
        (ensemble, ("constant", "grid", {"mean_ln_mass": (33.0, 32.0)}), "not below"),
    ):
        with pytest.raises(ConfigError, match=message):
            module.check(*arguments)


def test_prior_of_a_trend_that_does_not_vary_is_no_mistake(population):
    made = population(n=40, seed=12)
    prior = {"ln_bias_z": (-1.0, 1.0), "ln_bias_mass": (-1.0, 1.0)}
    post = bias.fit(made.fits, made.truth, model="trend", method="nuts", prior=prior)
    assert "ln_bias_mass ~ U(-1, 1)" in post.metadata["prior"]


@pytest.mark.parametrize("nu", [0.5, 1.0, 2.0, 30.0])
def test_student_tails_are_whole(nu):
    """A prior may reach below one degree of freedom, where 2 % of the tail lie beyond 10,000 scales."""
    for r in (-1.0, 3.0, 20.0):
        above, slope = kernels._tail(kernels._student_table(nu), r, nu)
        assert above * np.exp(kernels._ln_norm(nu)) == pytest.approx(student_t.sf(r, nu), rel=2e-6)
        step = 1e-4 * nu
        ends = [kernels._tail(kernels._student_table(v), r, v)[0] for v in (nu - step, nu + step)]
        assert slope == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-5)
