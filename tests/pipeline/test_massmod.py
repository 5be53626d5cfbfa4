"""The notebook's object: the flow of the wish, what is refused, and the workflow's very files."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import yaml
from campaigns import run, small
from notebook_inputs import COSMOLOGY, SURVEY, nfw, population, write_config, write_delta_sigma, write_maps
from numpy.testing import assert_allclose

import clmassmod as clmm
from clmassmod.errors import ConfigError, FitError, ReaderError, TruthError
from clmassmod.fitters.objects import CurveFit, GridFit
from clmassmod.records import HaloFit

N = 6


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def info(tmp_path):
    return clmm.utils.load_config(write_config(tmp_path / "model.yaml", survey=SURVEY))


@pytest.fixture
def clusters(tmp_path):
    ids, z, true, lens = population(N)
    write_delta_sigma(tmp_path / "ds.h5", ids, z, lens)
    return tmp_path / "ds.h5", dict(zip(ids, true, strict=True))


@pytest.fixture
def massmod(info, clusters):
    made = clmm.CLMassMod(info)
    made.obs_delta_sigma = clmm.utils.load_delta_sigma(clusters[0])
    return made


def test_import_is_light():
    code = (
        "import sys, clmassmod as clmm; assert clmm.__version__; "
        "heavy = {'numpy', 'pydantic', 'astropy', 'pymc', 'matplotlib', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; assert 'CLMassMod' in dir(clmm)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_scan_in_the_notebook_imports_nothing_heavy(clusters):
    write_config(clusters[0].parent / "m.yaml")
    code = (
        "import sys, clmassmod as clmm\n"
        "m = clmm.CLMassMod(clmm.utils.load_config('m.yaml'))\n"
        "m.obs_delta_sigma = clmm.utils.load_delta_sigma('ds.h5')\n"
        "m.fit_mass_profiles('scan', {'concentration': 4}, 'fits')\n"
        "heavy = {'pymc', 'arviz', 'matplotlib', 'pandas', 'astropy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_whole_flow(massmod, info, clusters, tmp_path):
    massmod.deltaSigma, massmod.errSigma, massmod.avgR = massmod.stackTools.stack(
        np.linspace(0.5, 2.5, 5), method="woScaling"
    )
    massmod.F, massmod.errF, massmod.avgX = massmod.stackTools.stack(np.geomspace(0.8, 8, 5), "wScaling")
    assert massmod.deltaSigma.shape == massmod.avgR.shape == massmod.errF.shape == (4,)
    profiles, fit_info = massmod.fit_mass_profiles("scan", {}, tmp_path / "fits")
    halo_id, z, mass, pdf, metadata, loc = profiles[0]
    assert (halo_id, metadata["fitter"]) == ("c000", "scan")
    assert 0.2 <= z <= 0.5
    assert mass["snr"] > 3
    assert_allclose(np.trapezoid(pdf[1], pdf[0]), 1.0)
    assert isinstance(fit_info[halo_id], GridFit)
    massmod.save_mass_profiles(tmp_path / "copy")
    assert (tmp_path / "copy" / "c000.h5").read_bytes() == (tmp_path / "fits" / "c000.h5").read_bytes()
    assert str(tmp_path / "fits" / "c000.h5") == loc
    bins = clmm.utils.make_bins(
        profiles, lambda every: [[p.loc for p in every[:4]], [p.loc for p in every[4:]]]
    )
    assert [len(b) for b in bins] == [4, 2]
    one = clmm.CLMassMod(info)
    assert [p.halo_id for p in one.read(bins[0])] == ["c000", "c001", "c002", "c003"]
    found = one.ensemble_fit({})
    assert found.metadata["n_halos"] == 4
    likelihoods, posteriors, bias_samples, scatter_samples = one.compare(clusters[1])
    assert list(likelihoods) == ["c000", "c001", "c002", "c003"]
    assert abs(posteriors.ln_bias.mean) < 4 * posteriors.ln_bias.sd
    assert_allclose(np.median(bias_samples), posteriors.bias.median, rtol=0.02)
    assert_allclose(np.median(scatter_samples), posteriors.scatter.median, rtol=0.1)
    numbers = one.statistics()
    assert numbers["n_usable"] == 4
    assert numbers["bias"]["bias"]["mean"] == posteriors.bias.mean
    stack = numbers["calibration"]["biases"]["stack"]
    assert abs(stack["value"] - 1) < 4 * stack["error"] + 0.05  # four clusters hardly resample
    assert numbers["calibration"]["coverage"]["0.95"]["n"] == 4


def test_masses_of_noiseless_clusters_are_true(info, tmp_path):
    ids, z, true, _ = population(3)
    signal = np.array([nfw(m, zz).delta_sigma_msun_mpc2 for m, zz in zip(true, z, strict=True)])
    columns = {"halo_id": ids, "z": z, "radius_mpc": np.tile(np.linspace(0.55, 2.45, 10), (3, 1))}
    columns |= {"ds_msun_mpc2": signal, "error": 0.05 * signal}
    made = clmm.CLMassMod(info)
    made.obs_delta_sigma = clmm.utils.load_delta_sigma(columns)
    fits, _ = made.fit_mass_profiles("curvefit", {})
    assert_allclose([p.mass["mass_ml_msun"] for p in fits], true, rtol=1e-5)


def campaign_of_maps(tmp_path):
    ids, z, true, _ = population(3)
    write_maps(tmp_path / "maps.h5", ids, z, true)
    config = small(
        campaign="maps",
        simulation={"reader": "grid", "path": "maps.h5"},
        truth={"path": "maps.h5", "mass": "m200c"},
        analyses={
            "nfw": {
                "survey": "wide",
                "radius_mpc": [0.5, 2.0],
                "radial_bins": {"n": 5},
                "model": {"concentration": "duffy08"},
            }
        },
    )
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(config))
    return run(config, upto="fits")


@pytest.mark.parametrize("source", ["campaign.yaml", "results/maps"])
def test_files_are_the_workflows_byte_for_byte(tmp_path, source):
    campaign = campaign_of_maps(tmp_path)
    made = clmm.CLMassMod(clmm.utils.load_config(source))
    made.obs_mass_map = clmm.utils.load_mass_map("maps.h5")
    made.fit_mass_profiles("scan", {}, tmp_path / "fits")
    for halo_id in ("c000", "c001", "c002"):
        mine, theirs = tmp_path / "fits" / f"{halo_id}.h5", campaign.fit_file("nfw", halo_id)
        assert mine.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("method", ["scan", "curvefit"])
def test_measured_profiles_give_the_workflows_files_too(tmp_path, clusters, method):
    columns = {"radius": "radius", "value": "delta_sigma", "error": "delta_sigma_err"}
    config = small(
        campaign="measured",
        simulation={"reader": "profiles", "path": "ds.h5", "options": {"columns": columns}},
        truth=None,
        surveys={},
        analyses={"nfw": {"radius_mpc": [0.6, 2.2], "model": {"concentration": "duffy08"}, "method": method}},
    )
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(config))
    campaign = run(config, upto="fits")
    made = clmm.CLMassMod(clmm.utils.load_config("campaign.yaml"))
    made.obs_delta_sigma = clmm.utils.load_delta_sigma("ds.h5")
    made.fit_mass_profiles(save_loc=tmp_path / "fits")
    for halo_id in clusters[1]:
        mine, theirs = tmp_path / "fits" / f"{halo_id}.h5", campaign.fit_file("nfw", halo_id)
        assert mine.read_bytes() == theirs.read_bytes()


def test_one_halo_alone_is_fitted_like_in_its_campaign(tmp_path):
    campaign = campaign_of_maps(tmp_path)
    with h5py.File("maps.h5") as handle:
        one = {"array": handle["sigma"][1], "z": float(handle["z"][1])}
    made = clmm.CLMassMod(clmm.utils.load_config("campaign.yaml"))
    made.obs_mass_map = clmm.utils.load_mass_map(
        one["array"], halo_id="c001", z=one["z"], unit="Msun / Mpc2", pixel=0.07, pixel_unit="Mpc"
    )
    made.fit_mass_profiles("scan", {}, tmp_path / "fits")
    assert (tmp_path / "fits" / "c001.h5").read_bytes() == campaign.fit_file("nfw", "c001").read_bytes()


def test_other_parameters_are_not_said_to_be_the_campaigns(tmp_path):
    campaign = campaign_of_maps(tmp_path)
    made = clmm.CLMassMod(clmm.utils.load_config("campaign.yaml"))
    made.obs_mass_map = clmm.utils.load_mass_map("maps.h5")
    made.fit_mass_profiles("scan", {"radius_mpc": [0.6, 2.0]}, tmp_path / "fits")
    origin = clmm.store.load_fit(tmp_path / "fits" / "c000.h5").metadata["provenance"]
    assert origin["config_hash"] != campaign.hash("fit", "nfw")
    assert set(origin) == set(clmm.store.load_fit(campaign.fit_file("nfw", "c000")).metadata["provenance"])


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_second_call_fits_only_what_is_missing_or_other(massmod, tmp_path, monkeypatch):
    massmod.fit_mass_profiles("scan", {}, tmp_path / "fits")
    before = files(tmp_path / "fits")
    (tmp_path / "fits" / "c001.h5").unlink()
    (tmp_path / "fits" / "c002.h5").write_bytes(before["c002.h5"][:900])
    fitted = []

    def counting(profiles, model, **keys):
        fitted.append(profiles.halo.halo_id)
        return original(profiles, model, **keys)

    from clmassmod.fitters import scan

    original = scan.fit
    monkeypatch.setattr(scan, "fit", counting)
    massmod.fit_mass_profiles("scan", {}, tmp_path / "fits")
    assert fitted == ["c001", "c002"]
    assert files(tmp_path / "fits") == before
    massmod.fit_mass_profiles("scan", {"n_jobs": 1}, tmp_path / "fits")
    assert len(fitted) == 2  # the number of processes changes nothing
    massmod.fit_mass_profiles("scan", {"radius_mpc": [0.7, 2.5]}, tmp_path / "fits")
    assert len(fitted) == 2 + N


def test_other_data_are_fitted_again(info, clusters, tmp_path):
    ids, z, _, lens = population(N)
    for error in (8e12, 9e12):
        write_delta_sigma(tmp_path / "ds.h5", ids, z, lens, error=error)
        made = clmm.CLMassMod(info)
        made.obs_delta_sigma = clmm.utils.load_delta_sigma(tmp_path / "ds.h5")
        (first, *_), _ = made.fit_mass_profiles("scan", {}, tmp_path / "fits")
        assert clmm.store.load_fit(first.loc).profile.error[0] == error


def test_processes_change_nothing(massmod, tmp_path):
    massmod.fit_mass_profiles("scan", {}, tmp_path / "one")
    out, _ = massmod.fit_mass_profiles("scan", {"n_jobs": 3}, tmp_path / "three")
    assert [p.halo_id for p in out] == sorted(p.halo_id for p in out)
    assert files(tmp_path / "one") == files(tmp_path / "three")


SLOW = """
import sys, time, clmassmod as clmm
from clmassmod.fitters import scan

def slow(profiles, model, *, prior, rng):
    time.sleep(0.15)
    return scan.fit(profiles, model, prior=prior, rng=rng)

m = clmm.CLMassMod(clmm.utils.load_config("model.yaml"))
m.obs_delta_sigma = clmm.utils.load_delta_sigma("ds.h5")
m.fit_mass_profiles(slow, {"n_jobs": int(sys.argv[2])}, sys.argv[1])
"""


@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_killed_call_goes_on_to_the_same_files(clusters, tmp_path, n_jobs):
    write_config(tmp_path / "model.yaml")
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "slow.py", "killed", n_jobs]
    process = subprocess.Popen(command)
    while not (tmp_path / "killed").is_dir() or len(list((tmp_path / "killed").glob("c*.h5"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list((tmp_path / "killed").glob("c*.h5"))) < N
    subprocess.run(command, check=True)
    subprocess.run([sys.executable, "slow.py", "whole", "1"], check=True)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_halo_that_raises_is_named_and_stops_nobody(massmod, tmp_path):
    def picky(profile, model, *, prior, rng):
        if profile.halo.halo_id == "c002":
            raise FloatingPointError("no luck")
        return clmm.fitters.scan.fit(profile, model, prior=prior)

    from clmassmod.fitters import scan  # noqa: F401  picky uses it

    with pytest.raises(FitError, match=r"1 of 6 haloes failed: c002 \(FloatingPointError: no luck"):
        massmod.fit_mass_profiles(picky, {}, tmp_path / "fits")
    assert len(list((tmp_path / "fits").glob("*.h5"))) == N - 1


def test_progress_bar_is_for_terminals_and_notebooks(monkeypatch, capsys):
    from clmassmod.steps.fitting import progress

    with progress(3, 1) as advance:
        advance()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress(3, 1) as advance:
        advance()
    assert "fitting haloes" in capsys.readouterr().err


def test_methods(massmod):
    _, least = massmod.fit_mass_profiles("curvefit", {"concentration": 4, "draws": 10})
    assert isinstance(least["c000"], CurveFit)
    assert least["c000"].covariance.shape == (1, 1)
    assert_allclose(least["c000"].covariance[0, 0] ** 0.5, massmod.fits["c000"].summary["mass_err_msun"])
    profiles, _ = massmod.fit_mass_profiles(
        "scan", {"mass_definition": "500c", "more_mass_definitions": ["vir"]}
    )
    assert set(massmod.fits["c000"].ln_like) == {"500c", "vir"}
    assert profiles[0].loc == "c000"

    def relation(mass_msun, z):
        return 4.0 + 0.0 * mass_msun

    by_function, _ = massmod.fit_mass_profiles("scan", {"concentration": relation, "n_jobs": 2})
    by_number, _ = massmod.fit_mass_profiles("scan", {"concentration": 4.0})
    assert_allclose(by_function[0].mass["mass_ml_msun"], by_number[0].mass["mass_ml_msun"])


@pytest.mark.inference
def test_sampler_gives_arviz(massmod):
    data = clmm.utils.load_delta_sigma("ds.h5").to_table()[:1]
    massmod.obs_delta_sigma = None
    massmod.obs_delta_sigma = clmm.utils.load_delta_sigma(
        data, units={"radius": "Mpc", "value": "Msun / Mpc2"}
    )
    _, sampled = massmod.fit_mass_profiles("pymc", {"draws": 200, "seed": 3})
    assert sampled["c000"].posterior["mass_msun"].sizes["draw"] == 200


def test_observables_join(info, tmp_path):
    ids, z, true, _ = population(2)
    write_delta_sigma(tmp_path / "ds.h5", ids, z, true)
    write_maps(tmp_path / "maps.h5", ids, z, true)
    made = clmm.CLMassMod(info)
    made.obs_delta_sigma = clmm.utils.load_delta_sigma("ds.h5")
    alone, _ = made.fit_mass_profiles("scan", {})
    ln_like = made.fits["c000"].ln_like["200c"]
    made.obs_mass_map = clmm.utils.load_mass_map("maps.h5")
    assert len(made.profiles["c000"]) == 2
    assert len(made.catalogs["c000"]) == 1
    both, _ = made.fit_mass_profiles("scan", {})
    joint = made.fits["c000"].ln_like["200c"]
    made.obs_delta_sigma = None
    other, _ = made.fit_mass_profiles("scan", {})
    assert both[0].mass["n_bins"] == alone[0].mass["n_bins"] + other[0].mass["n_bins"] == 20
    total = ln_like + made.fits["c000"].ln_like["200c"]
    near = joint > joint.max() - 20  # beyond, the floors of the stored likelihoods differ
    assert_allclose(joint[near] - joint.max(), total[near] - total.max(), atol=1e-9)


def test_maps_are_fitted_pixel_by_pixel_and_jointly(info, tmp_path):
    ids, z, true, _ = population(2)
    write_delta_sigma(tmp_path / "ds.h5", ids, z, true)
    write_maps(tmp_path / "maps.h5", ids, z, true)
    made = clmm.CLMassMod(info)
    made.obs_mass_map = clmm.utils.load_mass_map("maps.h5")
    pixels = {"pixels": {"noise": 0.02}}
    made.fit_mass_profiles("scan", pixels)
    alone = made.fits["c000"]
    assert alone.profile.observable == "kappa"
    assert len(made.catalogs["c000"]) == 0
    error = alone.summary["mass_err_msun"]
    assert alone.summary["mass_ml_msun"] == pytest.approx(true[0], abs=4 * error, rel=0.02)
    made.obs_delta_sigma = clmm.utils.load_delta_sigma("ds.h5")
    made.fit_mass_profiles("scan", pixels)
    joint = made.fits["c000"]
    assert joint.summary["mass_err_msun"] < error
    made.obs_mass_map = None
    made.fit_mass_profiles("scan", pixels)
    total = alone.ln_like["200c"] + made.fits["c000"].ln_like["200c"]
    both = joint.ln_like["200c"]
    near = both > both.max() - 20
    assert_allclose(both[near] - both.max(), total[near] - total.max(), atol=1e-9)


def test_single_halos_named_by_their_files_join(info, tmp_path):
    ids, z, true, _ = population(1)
    write_delta_sigma(tmp_path / "ds.h5", ids, z, true)
    g = nfw(true[0], z[0]).g_t
    gamma = {"radius_mpc": np.linspace(0.55, 2.45, 10), "g_t": g, "error": np.full(10, 0.01)}
    lines = [",".join(gamma), *(",".join(map(str, row)) for row in zip(*gamma.values(), strict=True))]
    (tmp_path / "my_shears.csv").write_text("\n".join(lines))
    made = clmm.CLMassMod(info)
    made.obs_gamma_theta = clmm.utils.load_gamma_theta("my_shears.csv", z=z[0], columns={"z_source": 1.0})
    made.obs_delta_sigma = clmm.utils.load_delta_sigma("ds.h5")
    fits, _ = made.fit_mass_profiles()
    assert [p.halo_id for p in fits] == ["c000"]
    assert fits[0].mass["n_bins"] == 20
    _check_drawn_models(made, g, nfw(true[0], z[0]).delta_sigma_msun_mpc2)
    again = clmm.CLMassMod(info)
    made.save_mass_profiles("joint")
    again.read("joint")
    with pytest.raises(FitError, match=r"no 'delta_sigma' \(known: g_t\)"):
        again.plot_profile(observable="delta_sigma")


def _check_drawn_models(made, g_t, delta_sigma):
    """The drawn model of each observable of a joint fit is near the expected of that observable alone."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    for observable, expected in (("g_t", g_t), ("delta_sigma", delta_sigma)):
        axes = made.plot_profile(observable=observable)
        (model,) = (line for line in axes.get_lines() if line.get_label() == "best model")
        assert_allclose(model.get_ydata(), expected, rtol=0.05)  # noise of the mass: 2 %
    plt.close("all")


def test_names_of_files_may_hold_points(info, tmp_path):
    rows = "radius_mpc,g_t,error\n1.0,0.05,0.01\n2.0,0.02,0.01\n"
    for name in ("macs0429.6-0253", "macs0429.6-0254"):
        (tmp_path / f"{name}.csv").write_text(rows)
    loaded = [
        clmm.utils.load_gamma_theta(f"macs0429.6-025{i}.csv", z=0.3, columns={"z_source": 1.0})
        for i in (3, 4)
    ]
    assert [one.halo_ids for one in loaded] == [["macs0429.6-0253"], ["macs0429.6-0254"]]


def test_wrong_assignments_are_refused_in_one_line(info, clusters, tmp_path):
    made = clmm.CLMassMod(info)
    loaded = clmm.utils.load_delta_sigma(clusters[0])
    with pytest.raises(
        ConfigError, match="holds profiles of excess surface density; assign it to obs_delta_sigma"
    ):
        made.obs_gamma_theta = loaded
    with pytest.raises(
        ConfigError, match=r"obs_mass_map takes what utils.load_mass_map returns, found a ndarray"
    ):
        made.obs_mass_map = np.zeros((3, 3))
    with pytest.raises(ConfigError, match="did you mean 'obs_gamma_theta'"):
        made.obs_gama_theta = loaded
    with pytest.raises(ConfigError, match="given twice"):
        made.obs_delta_sigma = [loaded, loaded]
    made.obs_delta_sigma = loaded
    ids, z, true, _ = population(2)
    write_maps(tmp_path / "maps.h5", ids, z, true)
    with pytest.raises(ConfigError, match=r"obs_mass_map and obs_delta_sigma differ in their haloes: 'c002'"):
        made.obs_mass_map = clmm.utils.load_mass_map("maps.h5")
    ids, z, true, _ = population(N)
    write_maps(tmp_path / "maps.h5", ids, z + 0.01, true, n=16)
    with pytest.raises(
        ConfigError, match=r"halo 'c000' has z = .* in obs_mass_map, but .* in obs_delta_sigma"
    ):
        made.obs_mass_map = clmm.utils.load_mass_map("maps.h5")
    with pytest.raises(ReaderError, match="does not fit quantity 'kappa'"):
        clmm.utils.load_kappa_map("maps.h5", map="sigma", z_source=1.0)
    assert made.obs_delta_sigma is loaded
    assert made.obs_mass_map is None


def test_wrong_parameters_are_refused(massmod, info):
    with pytest.raises(ConfigError, match="unknown key 'concentraton'; did you mean 'concentration'"):
        massmod.fit_mass_profiles("scan", {"concentraton": 4})
    with pytest.raises(ConfigError, match="unknown fitter 'scam'; did you mean 'scan'"):
        massmod.fit_mass_profiles("scam", {})
    with pytest.raises(ConfigError, match=r"calc_params.radius_mpc"):
        massmod.fit_mass_profiles("scan", {"radius_mpc": [2, 1]})
    with pytest.raises(ConfigError, match="unknown method 'wscaling'; did you mean 'wScaling'"):
        massmod.stackTools.stack([0.5, 1], "wscaling")
    with pytest.raises(FitError, match="no fits yet"):
        clmm.CLMassMod(info).ensemble_fit({})
    with pytest.raises(ConfigError, match="no data yet"):
        clmm.CLMassMod(info).fit_mass_profiles("scan", {})
    massmod.fit_mass_profiles()
    with pytest.raises(ConfigError, match="unknown key 'sed'; did you mean 'seed'"):
        massmod.ensemble_fit({"sed": 1})
    with pytest.raises(ConfigError, match=r"model\.profil: unknown key"):
        clmm.CLMassMod({"cosmology": COSMOLOGY, "model": {"profil": "nfw"}})
    with pytest.raises(ConfigError, match="found a int"):
        clmm.CLMassMod(3)


def test_objects_share_nothing(info, clusters):
    one, two = clmm.CLMassMod(info), clmm.CLMassMod(info)
    one.obs_delta_sigma = clmm.utils.load_delta_sigma(clusters[0])
    assert two.obs_delta_sigma is None
    info["model"]["concentration"] = 9.0
    assert one.model_info["model"]["concentration"] == 4.0
    one.model_info["model"]["concentration"] = 7.0
    assert one.model_info["model"]["concentration"] == 4.0


@pytest.fixture
def fitted(massmod, clusters, tmp_path):
    massmod.fit_mass_profiles("scan", {}, tmp_path / "fits")
    return massmod, clusters[1]


def test_truth_of_any_form_gives_the_same(fitted, tmp_path):
    from astropy.table import Table

    massmod, truth = fitted
    columns = {"halo_id": list(truth), "m200c": list(truth.values())}
    Table(columns).write("truth.ecsv")
    expected = massmod.compare(truth).posteriors.ln_bias.mean
    for form in (Table(columns), columns, "truth.ecsv", tmp_path / "truth.ecsv", truth.__getitem__):
        assert massmod.compare(form).posteriors.ln_bias.mean == expected
    assert (
        massmod.compare(lambda halo: truth[halo.halo_id] * (1 + 0 * halo.z)).posteriors.ln_bias.mean
        == expected
    )
    h = COSMOLOGY["H0"] / 100
    in_h = {"id": list(truth), "mass": [m * h for m in truth.values()]}
    scaled = massmod.compare(Table(in_h), halo_id="id", mass="mass", unit="Msun/h")
    assert_allclose(scaled.posteriors.ln_bias.mean, expected, atol=1e-9)


def test_missing_truths_are_named(fitted):
    massmod, truth = fitted
    fewer = {k: v for k, v in truth.items() if k not in ("c001", "c004")}
    with pytest.raises(TruthError, match="2 of 6 haloes: 'c001', 'c004'"):
        massmod.compare(fewer)
    with pytest.raises(TruthError, match="'c001', 'c004'"):
        massmod.compare(fewer.__getitem__)
    assert len(massmod.compare(fewer, {"allow_missing": True}).likelihoods) == 4
    some = list(truth)[:3]
    selected = massmod.compare(truth, {"select": lambda fit: fit.halo_id in some})
    assert sorted(selected.likelihoods) == sorted(some)
    with pytest.raises(TruthError, match="no column 'm200c'"):
        massmod.compare({"halo_id": ["a"], "mass": [1e14]})


def test_tables_of_truth_are_read_as_they_are_meant(fitted):
    from astropy.table import Table

    massmod, truth = fitted
    table = Table({"halo_id": list(truth), "m200c": list(truth.values())}, masked=True)
    table["m200c"].mask[2] = True
    with pytest.raises(TruthError, match="no true mass for 1 of 6"):
        massmod.compare(table)
    table["m200c"].mask[2] = False
    table["m200c"].unit = "Msun"
    with pytest.raises(TruthError, match="'m200c' is in 'solMass', but the unit was given as 'Msun/h'"):
        massmod.compare(table, unit="Msun/h")


def test_reading_bins(fitted, info, tmp_path):
    massmod, _ = fitted
    profiles = massmod.read(tmp_path / "fits")
    assert len(profiles) == N
    one = clmm.CLMassMod(info)
    assert len(one.read("fits/c00[01].h5")) == 2
    assert len(one.read(profiles[:3])) == 3
    bins = clmm.utils.make_bins(profiles, clmm.utils.redshift_bins([0.2, 0.35, 0.5]))
    bins.save("bins.json")
    assert [p.loc for p in one.read("bins.json", bins.labels[1])] == bins[bins.labels[1]]
    assert len(one.read(f"bins.json:{bins.labels[0]}")) == len(bins[0])
    with pytest.raises(ConfigError, match="which bin"):
        one.read("bins.json")
    with pytest.raises(ConfigError, match=r"no file, folder or pattern 'nowhere/\*.h5'"):
        one.read("nowhere/*.h5")
    with pytest.raises(ConfigError, match="several bins"):
        one.read(bins)


def test_bins_of_a_campaign(tmp_path):
    campaign = run(small())
    made = clmm.CLMassMod(clmm.utils.load_config("results/small"))
    assert len(made.read(campaign.bins_file("nfw"), "all")) == 6


def test_bins_report_what_is_odd(fitted, tmp_path):
    profiles = fitted[0].read(tmp_path / "fits")
    with pytest.warns(clmm.utils.BinningWarning) as said:
        bins = clmm.utils.make_bins(profiles, lambda every: {"a": every[:2], "b": every[1:2], "c": []})
    assert len(said) == 3
    assert bins.as_dict()["c"] == []
    assert bins.remarks == tuple(str(w.message) for w in said)
    (tmp_path / "mine.py").write_text("def halves(p):\n    return [p[:3], p[3:]]\n")
    assert [len(b) for b in clmm.utils.make_bins(profiles, "mine.py:halves")] == [3, 3]


def test_plots_return_axes(fitted):
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    massmod, truth = fitted
    massmod.ensemble_fit({})
    massmod.compare(truth)
    massmod.stackTools.stack([0.5, 1.5, 2.5])
    for axes in (
        massmod.plot_profile("c001"),
        massmod.plot_posterior(),
        massmod.plot_ensemble(),
        massmod.plot_bias(),
        massmod.stackTools.plot(),
        massmod.obs_delta_sigma.plot(),
    ):
        assert axes.get_xlabel()
    plt.close("all")


def test_a_likelihood_of_the_users_gets_estimates(massmod):
    def mine(profile, model, *, prior, rng, centre=5e14):
        mass = np.geomspace(1e14, 2e15, 200)
        return HaloFit.from_likelihood(
            profile.halo.halo_id, profile.halo.z, mass, -((mass / centre - 1) ** 2) * 50
        )

    fits, _ = massmod.fit_mass_profiles(mine, {"centre": 6e14})
    assert len(clmm.utils.make_bins(fits, clmm.utils.mass_bins([5e14, 7e14]))[0]) == N
    for name in ("mass_ml_msun", "mass_median_msun"):
        assert_allclose(fits[0].mass[name], 6e14, rtol=1e-3)
    assert_allclose(fits[0].mass["mass_hdi68_hi_msun"], 6.6e14, rtol=2e-3)


def test_tables_have_units_and_edges_increase(massmod):
    table = massmod.obs_delta_sigma.to_table()
    assert str(table["radius"].unit) == "Mpc"
    with pytest.raises(ConfigError, match="edges of 'z' must be two or more increasing"):
        clmm.utils.redshift_bins([0.4, 0.2])


def test_help_and_repr_say_what_to_do(massmod):
    text = clmm.CLMassMod.__doc__
    for name in ("obs_mass_map", "Msun / Mpc2", "stackTools", "(bin,)", "load_config"):
        assert name in text
    assert "obs_delta_sigma of 6" in repr(massmod)
    assert "6 haloes" in repr(massmod.obs_delta_sigma)
    fits, info = massmod.fit_mass_profiles()
    shown = [*fits, *info.values(), massmod.ensemble_fit(), massmod.compare(lambda _: 5e14)]
    assert all(len(repr(one)) < 500 and "array" not in repr(one) for one in shown)
    assert isinstance(
        clmm.HaloFit.from_likelihood("a", 0.3, np.geomspace(1e14, 1e15, 9), -np.arange(9.0)), HaloFit
    )
