"""The command line: what it prints, its exit codes, and one line for every mistake."""

import subprocess
import sys

import numpy as np
import pytest
from campaigns import run, small

from clmassmod.cli import main


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


PREDICT = [
    *("predict", "--profile", "nfw", "--mass", "1e15", "--concentration", "4", "--mass-definition", "200c"),
    *("--z-lens", "0.25", "--z-source", "1.0", "--radius", "0.3,1,3", "--cosmology", "H0=70,Om0=0.3"),
]


def test_predict_prints_csv(capsys):
    assert main(PREDICT) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "radius_mpc,sigma_msun_mpc2,delta_sigma_msun_mpc2,kappa,gamma_t,g_t"
    values = np.array([[float(v) for v in line.split(",")] for line in lines[1:]])
    assert values[:, 0].tolist() == [0.3, 1, 3]
    np.testing.assert_allclose(values[:, 5], values[:, 4] / (1 - values[:, 3]), rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (["--profile", "nfv"], "did you mean 'nfw'"),
        (["--concentration", "duffy8"], "did you mean 'duffy08'"),
        (["--concentration", "diemer19"], "sigma8"),
        (["--mass-definition", "200x"], "200x"),
        (["--cosmology", "H0=70"], "Om0"),
        (["--cosmology", "H0=70,om=0.3"], "om"),
        (["--cosmology", "H0=70,Om0=0.3,Om0=0.4"], "Om0 is given twice"),
        (["--radius", "1,b"], "--radius"),
        (["--radius", "-1"], "radi"),
        (["--z-source", "0.1"], "not behind"),
        (["--z-source", "smale"], "smail"),
        (["--z-source", "smail:alpha=2"], "takes alpha, beta, and z0 or median_z"),
        (["--z-source", "smail:alpha=2,beta=1.5,median_z=x"], "--z-source"),
        (["--z-source", "chang13:z0=1"], "takes no parameter but z_max, found z0"),
        (["--z-source", "desc_srd:year=Y7"], "Y7"),
        (["--mass", "0"], "mass"),
        (["--parameter", "alpha=0.2"], "alpha"),
        (["--parameter", "alpha"], "KEY=VALUE"),
    ],
)
def test_predict_mistakes_are_one_line(change, part, capsys):
    arguments = list(PREDICT)
    if change[0] in arguments:
        arguments[arguments.index(change[0]) + 1] = change[1]
    else:
        arguments += change
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("clmassmod: error: ")
    assert part in captured.err
    assert captured.err.count("\n") == 1


def test_init_writes_a_configuration_that_is_accepted(capsys, tmp_path):
    assert main(["init", "my.yaml"]) == 0
    assert main(["init", "my.yaml"]) == 2
    assert main(["prepare", "--config", "my.yaml"]) == 0
    assert (tmp_path / "results/my/halos.csv").is_file()
    assert "40 selected" in capsys.readouterr().out


def test_show_status_fit_and_report(capsys):
    campaign = run(small())
    fit = campaign.fit_file("nfw", "halo0001")
    assert main(["show", str(fit)]) == 0
    assert "mass_ml_msun" in capsys.readouterr().out
    mock = campaign.mock_file("wide", "halo0001")
    assert main(["show", str(mock)]) == 0
    assert "x_arcmin" in capsys.readouterr().out
    assert main(["fit", str(mock), "--campaign", campaign.root, "--analysis", "nfw", "-o", "again.h5"]) == 0
    with open("again.h5", "rb") as again:  # noqa: PTH123
        assert again.read() == fit.read_bytes()
    assert main(["status", campaign.root]) == 0
    assert "6 done, 0 unusable, 0 failed, 0 to do" in capsys.readouterr().out
    assert main(["show", str(campaign.comparison_file("nfw", "all"))]) == 0
    assert "ln_bias" in capsys.readouterr().out
    assert main(["retry", campaign.root]) == 0
    assert main(["retry", campaign.root, "nobody"]) == 2
    assert "no halo nobody" in capsys.readouterr().err
    assert main(["report", "--campaign", campaign.root, "--print"]) == 0
    assert "report: " in capsys.readouterr().out


def test_mistakes_have_exit_codes_of_their_own(capsys, tmp_path):
    assert main(["show", "nowhere.h5"]) == 4
    assert main(["status", "nowhere"]) == 2
    (tmp_path / "bad.yaml").write_text("campain: x\n")
    assert main(["prepare", "--config", "bad.yaml"]) == 2
    assert "did you mean 'campaign'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["fits"])
    assert caught.value.code == 2


def test_no_traceback_and_light_imports():
    code = (
        "import sys, clmassmod, clmassmod.steps.halos\n"
        "heavy = {'pymc', 'arviz', 'astropy', 'colossus', 'matplotlib', 'pandas', 'numba'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "clmassmod", "show", "nowhere.h5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert done.stderr == "clmassmod: error: nowhere.h5: no such file\n"


def test_several_lines_of_the_system_become_one(monkeypatch, capsys):
    def full(path):
        raise OSError(f"Can't write {path}\n, errno = 28, 'No space left on device'")

    monkeypatch.setattr("clmassmod.steps.single.show_file", full)
    assert main(["show", "x.h5"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
