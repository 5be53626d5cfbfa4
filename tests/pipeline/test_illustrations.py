"""What the report shows of a small campaign: scenes, mean profiles, calibration; and without its mocks."""

import numpy as np
import pytest
from campaigns import run, small

from clmassmod.config import load_campaign
from clmassmod.core.units import ARCMIN_RAD
from clmassmod.errors import ConfigError
from clmassmod.steps.illustrations import spread
from clmassmod.steps.reporting import make_report, report_input, with_figures
from clmassmod.store import load_catalog


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("campaign"))
        survey = small()["surveys"]["wide"]
        centre = {"model": "rayleigh", "parameters": {"scale_mpc": 0.2}}
        options = {**small()["simulation"]["options"], "n_halos": 12}
        made = run(
            small(
                halos_per_job=12,
                simulation={"reader": "analytic", "options": options},
                surveys={"wide": {**survey, "centre": centre}},
                compare={"true_mass_edges_msun": [3e14, 8e14, 2e15]},
            )
        )
        yield made


@pytest.fixture(scope="module")
def shown(campaign):
    return with_figures(report_input(campaign), campaign).analyses[0]


def test_convergence_is_about_the_assumed_centre(campaign, shown):
    assert len(shown.scenes) == 3
    for halo_id, scene in shown.scenes.items():
        catalogue = load_catalog(campaign.mock_file("wide", halo_id))
        assert scene.true_centre_mpc == tuple(-x for x in catalogue.offset_mpc)
        assert np.hypot(*scene.true_centre_mpc) > 0
        n = len(scene.kappa_inf)
        row, column = np.unravel_index(np.nanargmax(scene.kappa_inf), scene.kappa_inf.shape)
        pixel = 2 * scene.half_mpc / n
        peak = [(i + 0.5) * pixel - scene.half_mpc for i in (column, row)]
        np.testing.assert_allclose(peak, scene.true_centre_mpc, atol=0.51 * pixel)
        scale = catalogue.d_lens_mpc * ARCMIN_RAD
        inside = (np.abs(catalogue.x_arcmin * scale) < scene.half_mpc) & (
            np.abs(catalogue.y_arcmin * scale) < scene.half_mpc
        )
        assert len(scene.x_mpc) == inside.sum() > 1000


def test_every_bin_with_an_ensemble_has_its_mean_profile(shown):
    assert set(shown.profiles) == set(shown.ensembles)
    everyone = shown.profiles["all"]
    assert (everyone.n_stacked, everyone.n_members, len(everyone.radius_mpc)) == (12, 12, 5)
    # five radii of twelve haloes: no more than chance says that they miss the prediction by
    chi2 = np.sum(((everyone.delta_sigma - everyone.model[1]) / everyone.error) ** 2)
    assert chi2 < 25


def test_calibration_is_that_of_the_comparison(shown):
    assert set(shown.calibrations) == {label for label, p in shown.comparisons.items() if p.names}
    everyone = shown.calibrations["all"]
    assert len(everyone.halo_ids) == 12
    best = dict(zip(shown.table["halo_id"], shown.table["mass_ml_msun"], strict=True))
    error = dict(zip(shown.table["halo_id"], shown.table["mass_err_msun"], strict=True))
    expected = [(best[h] - shown.true_mass_msun[h]) / error[h] for h in everyone.halo_ids]
    np.testing.assert_allclose(everyone.pull, expected, rtol=1e-12)


def test_page_without_the_mocks_still_has_the_results(campaign, tmp_path):
    moved = []
    for path in (campaign.folder / "mocks").rglob("*.h5"):
        path.rename(tmp_path / path.name)
        moved.append((tmp_path / path.name, path))
    try:
        page = make_report(campaign)[0].read_text()
    finally:
        for there, here in moved:
            there.rename(here)
    assert 'id="profiles-of-nfw"' in page
    assert "source galaxies of halo" not in page
    assert "convergence map of halo" in page  # the reader still has it


def test_report_says_what_the_jobs_took(campaign):
    folder = campaign.folder / "benchmarks" / "fits" / "nfw"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.tsv").write_text("s\th:m:s\tmax_rss\tcpu_time\n12.5\t0:00:12\t90.0\t11.0\n")
    assert [use.rule for use in report_input(campaign).resources] == ["fits"]


def test_unknown_analysis_in_figures_of_is_named():
    with pytest.raises(ConfigError, match=r"report.figures_of: no analysis 'nwf'; did you mean 'nfw'"):
        load_campaign(small(report={"figures_of": ["nwf"]}))


def test_members_are_chosen_evenly():
    ids = [f"h{i}" for i in range(1000)]
    chosen = [int(name[1:]) for name in spread(ids, 11)]
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 999, 11)
    assert set(np.diff(chosen)) <= {99, 100}
    assert spread(ids[:5], 11) == ids[:5]
