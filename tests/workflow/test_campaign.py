"""The whole workflow on a small campaign: what it makes, what it does again, what it refuses."""

import csv
import json

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

RESULTS = ("mocks", "fits", "bins", "ensembles", "comparisons", "report")


def steps_after_the_fits(analysis, bins=("all",), truth=("truth-5e14-1e15", "truth-1e15-2e15")):
    """Return the messages of the jobs that follow when a fit of an analysis changed."""
    jobs = {f"Bins of analysis {analysis}", "Report", "Complete: results/test/report/index.html"}
    jobs |= {f"Ensemble of bin {b}, analysis {analysis}" for b in bins}
    return jobs | {f"Comparison of bin {b}, analysis {analysis}" for b in (*bins, *truth)}


def test_all_steps_make_their_files(reference):
    names = [f"halo{i:04d}" for i in range(6)]
    assert set(reference.files("mocks")) == {f"mocks/small/{name}.h5" for name in names}
    assert set(reference.files("fits")) == {f"fits/nfw/{name}.h5" for name in names}
    assert set(reference.files("ensembles")) == {"ensembles/nfw/all.nc"}
    bins = ["all", "truth-5e14-1e15", "truth-1e15-2e15"]
    assert set(reference.files("comparisons")) == {f"comparisons/nfw/{b}.nc" for b in bins}
    with (reference.results / "report/summary.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["bin"] for row in rows] == bins
    assert [int(row["n_halos"]) for row in rows] == [6, 3, 3]
    assert "<html" in (reference.results / "report/index.html").read_text()


def test_every_job_has_log_and_benchmark(reference):
    for folder, suffix in (("logs", ".log"), ("benchmarks", ".tsv")):
        names = set(reference.files(folder))
        assert {f"{folder}/fits/nfw/halo0003{suffix}", f"{folder}/tables{suffix}"} <= names
        assert len(names) == 1 + 6 + 6 + 1 + 1 + 3 + 1


def test_default_configuration_is_not_mixed_in(reference):
    frozen = (reference.results / "config.yaml").read_text()
    assert "ground" not in frozen  # the survey of config/default.yaml
    assert not (reference.folder / "results/default").exists()


def test_complete_campaign_has_nothing_to_do(complete):
    before = complete.stamps()
    run = complete.run()
    assert (run.code, run.jobs) == (0, [])
    assert "Nothing to be done" in run.screen
    assert complete.stamps() == before


def test_removed_fit_is_redone_with_what_depends_on_it(complete, reference):
    (complete.results / "fits/nfw/halo0003.h5").unlink()
    before = complete.stamps()
    run = complete.run()
    assert run.code == 0, run.screen
    assert set(run.jobs) == {"Fit of halo0003, analysis nfw"} | steps_after_the_fits("nfw")
    after = complete.stamps()
    fits = [name for name in before if name.startswith("fits/nfw/")]
    assert len(fits) == 5
    assert all(after[name] == before[name] for name in fits)
    assert complete.digests(*RESULTS) == reference.digests(*RESULTS)


def test_removed_mock_is_redone_bit_for_bit(complete, reference):
    (complete.results / "mocks/small/halo0001.h5").unlink()
    run = complete.run()
    assert {job for job in run.jobs if job.startswith("Mock")} == {"Mock of halo0001, survey small"}
    assert {job for job in run.jobs if job.startswith("Fit")} == {"Fit of halo0001, analysis nfw"}
    assert complete.digests(*RESULTS) == reference.digests(*RESULTS)


def test_dry_run_lists_what_a_run_would_do_and_writes_nothing(complete):
    (complete.results / "fits/nfw/halo0003.h5").unlink()
    complete.config["report"] = {"title": "another"}
    before = complete.stamps()
    run = complete.run("--dry-run")
    assert run.code == 0
    assert {job for job in run.jobs if job.startswith(("Mock", "Fit"))} == {"Fit of halo0003, analysis nfw"}
    assert complete.stamps() == before


def test_one_core_gives_the_same_bytes(campaign, reference):
    run = campaign.run(cores=1)
    assert run.code == 0, run.screen
    assert campaign.digests(*RESULTS) == reference.digests(*RESULTS)


def test_shards_give_the_same_haloes(campaign, reference):
    campaign.config["halos_per_job"] = 4
    run = campaign.run()
    assert run.code == 0, run.screen
    assert {job for job in run.jobs if job.startswith("Fit")} == {
        "Fit of shard00000, analysis nfw",
        "Fit of shard00001, analysis nfw",
    }
    halves = ("mocks", "fits", "ensembles", "comparisons")
    assert campaign.digests(*halves) == reference.digests(*halves)
    before = campaign.stamps()
    (campaign.results / "fits/nfw/halo0003.h5").unlink()
    run = campaign.run()
    after = campaign.stamps()
    again = {n for n in after if n.startswith("fits/") and after[n] != before[n]}
    assert again == {"fits/nfw/halo0003.h5"}
    assert campaign.digests(*halves) == reference.digests(*halves)


def test_killed_campaign_goes_on_unchanged(campaign, reference):
    done = campaign.run_and_kill(n_fits=2)
    assert 2 <= done < 6
    run = campaign.run()
    assert run.code == 0, run.screen
    assert (
        sum(job.startswith("Fit") for job in run.jobs) <= 6 - done + 2
    )  # those under way were not marked yet
    assert campaign.digests(*RESULTS) == reference.digests(*RESULTS)


@pytest.mark.long
def test_often_killed_campaign_ends_the_same(campaign, reference):
    for n_fits in (0, 1, 3, 4, 6):
        campaign.run_and_kill(n_fits=n_fits)
    run = campaign.run()
    assert run.code == 0, run.screen
    assert campaign.digests(*RESULTS) == reference.digests(*RESULTS)


def test_analyses_are_redone_alone(complete):
    """Also where the tables change with one, or where another has new bins of old fits."""
    nfw = complete.config["analyses"]["nfw"]
    fits = {f"Fit of halo{i:04d}, analysis two" for i in range(6)}
    tables = {"Tables of cosmology and reader"}

    complete.config["analyses"]["two"] = {**nfw, "radius_mpc": [0.5, 1.8]}
    run = complete.run()
    assert run.code == 0, run.screen
    assert set(run.jobs) - tables == fits | steps_after_the_fits("two")

    complete.config["analyses"]["two"] = {**nfw, "model": {"profile": "nfw", "concentration": "duffy08"}}
    run = complete.run()
    assert run.code == 0, run.screen
    assert set(run.jobs) == tables | fits | steps_after_the_fits("two")

    complete.config["analyses"]["two"] = {**nfw, "model": {"profile": "nfw", "concentration": 5.0}}
    complete.config["bins"] = {"significance": {"by": {"snr": [-100, 100]}}}
    run = complete.run()
    assert run.code == 0, run.screen
    before_bins = {job for job in run.jobs if job.startswith(("Mock", "Fit"))}
    assert before_bins == fits
    assert {f"Bins of analysis {a}" for a in ("nfw", "two")} <= set(run.jobs)


def test_changed_survey_redoes_mocks_and_fits(complete):
    complete.config["surveys"]["small"]["shape_noise"] = 0.3
    run = complete.run()
    assert run.code == 0, run.screen
    mocks = {f"Mock of halo{i:04d}, survey small" for i in range(6)}
    fits = {f"Fit of halo{i:04d}, analysis nfw" for i in range(6)}
    assert set(run.jobs) - {"Tables of cosmology and reader"} == mocks | fits | steps_after_the_fits("nfw")


def test_fewer_haloes_need_no_new_fits(complete):
    complete.config["simulation"]["select"] = {"max_halos": 5}
    complete.config["compare"]["true_mass_edges_msun"] = [5.0e14, 2.0e15]
    run = complete.run()
    assert run.code == 0, run.screen
    assert not [job for job in run.jobs if job.startswith(("Mock", "Fit"))]
    with (complete.results / "report/summary.csv").open() as handle:
        assert [int(row["n_halos"]) for row in csv.DictReader(handle)] == [5, 5]


def test_changed_report_is_written_alone(complete):
    complete.config["report"] = {"title": "Another title"}
    run = complete.run()
    assert run.code == 0, run.screen
    assert set(run.jobs) == {"Report", "Complete: results/test/report/index.html"}
    assert "Another title" in (complete.results / "report/index.html").read_text()


def test_snakemake_reports_on_the_campaign(complete):
    page = complete.folder / "workflow.html"
    run = complete.run("--report", str(page))
    assert run.code == 0, run.screen
    assert "intrinsic scatter" in page.read_text()


def test_misspelt_key_is_refused_in_one_line(campaign):
    campaign.config["analyses"]["nfw"]["radus_mpc"] = campaign.config["analyses"]["nfw"].pop("radius_mpc")
    run = campaign.run()
    assert (run.code, run.jobs) == (1, [])
    lines = [
        line
        for line in run.screen.splitlines()
        if line and not line.startswith("Using workflow specific profile")
    ]
    assert len(lines) == 1
    assert lines[0].startswith(f"clmassmod: {campaign.folder}/campaign.yaml: ")
    assert "analyses.nfw.radus_mpc: unknown key; did you mean 'radius_mpc'?" in lines[0]
    assert not (campaign.folder / "results").exists()


def test_key_given_twice_is_refused(campaign):
    command = campaign.command()
    file = campaign.folder / "campaign.yaml"
    file.write_text(file.read_text() + "seed: 7\n")
    run = campaign.run_command(command)
    assert (run.code, run.jobs) == (1, [])
    assert "campaign.yaml: line" in run.screen
    assert "key 'seed' is given twice" in run.screen


def test_no_configuration_is_said_in_one_line(campaign):
    command = campaign.command()
    at = command.index("--configfile")
    run = campaign.run_command([*command[:at], *command[at + 2 :]])
    assert run.code == 1
    assert "Traceback" not in run.screen
    assert "--configfile" in run.screen


def test_campaign_without_truth_runs_through_ensemble(campaign):
    del campaign.config["truth"], campaign.config["compare"]
    run = campaign.run()
    assert run.code == 0, run.screen
    assert set(campaign.files("ensembles")) == {"ensembles/nfw/all.nc"}
    assert not campaign.files("comparisons")
    assert (campaign.results / "report/index.html").is_file()


def test_matrix_of_analyses_is_compared(campaign):
    """Four analyses of two axes see the same galaxies; one more variant fits its own two alone."""
    axes = {
        "concentration": {"c3": {"model": {"concentration": 3.0}}, "c5": {"model": {"concentration": 5.0}}},
        "range": {"near": {"radius_mpc": [0.5, 1.5]}, "far": {"radius_mpc": [0.5, 2.0]}},
    }
    campaign.config["matrix"] = {"base": campaign.config.pop("analyses")["nfw"], "axes": axes}
    campaign.config["matrix"]["reference"] = "c3_far"
    campaign.config["halos_per_job"] = 6
    del campaign.config["compare"]
    run = campaign.run()
    assert run.code == 0, run.screen
    names = ["c3_near", "c3_far", "c5_near", "c5_far"]
    assert {p.split("/")[1] for p in campaign.files("fits")} == set(names)
    with (campaign.results / "report/matrix.csv").open() as handle:
        rows = {row["analysis"]: row for row in csv.DictReader(handle)}
    assert set(rows) == set(names)
    # a profile that is taken for more concentrated needs less mass to give the same shear
    assert float(rows["c5_far"]["ln_bias"]) < float(rows["c3_far"]["ln_bias"])
    assert float(rows["c5_far"]["shift"]) < 0.0
    axes["concentration"]["c4"] = {"model": {"concentration": 4.0}}
    run = campaign.run()
    assert run.code == 0, run.screen
    fitted = {job for job in run.jobs if job.startswith(("Fit", "Mock"))}
    assert fitted == {f"Fit of shard00000, analysis c4_{r}" for r in ("near", "far")}


def test_damaged_mock_is_named_and_redone(complete, reference):
    mock = complete.results / "mocks/small/halo0002.h5"
    mock.write_bytes(mock.read_bytes()[:-100])
    (complete.results / "fits/nfw/halo0002.h5").unlink()
    run = complete.run()
    assert run.code == 1
    record = json.loads((complete.results / "fits/nfw/halo0002.failed.json").read_text())
    assert "halo0002" in record["reason"]
    assert "1 of 6 haloes failed" in run.screen
    mock.unlink()
    run = complete.run()
    assert run.code == 0, run.screen
    assert complete.digests(*RESULTS) == reference.digests(*RESULTS)


def test_folder_that_cannot_be_made_is_said_in_one_line(campaign):
    (campaign.folder / "results").write_text("a file where the folder should be")
    run = campaign.run()
    assert run.code == 1
    assert "Traceback" not in run.screen
    assert "tree.py" not in run.screen
    assert sum("clmassmod: " in line for line in run.screen.splitlines()) == 1
    assert "results" in run.screen.split("clmassmod: ")[1]
