"""Small campaigns, run by snakemake as a user does."""

import copy
import shutil

import pytest
import yaml
from runner import ROOT, Campaign


@pytest.fixture(scope="session")
def test_config():
    return yaml.safe_load((ROOT / "config/test.yaml").read_text())


@pytest.fixture(scope="session")
def reference(tmp_path_factory, test_config):
    """Return a complete campaign, run with two cores; tests look at it and leave it as it is."""
    campaign = Campaign(tmp_path_factory.mktemp("reference"), test_config)
    run = campaign.run(cores=2)
    assert run.code == 0, run.screen
    return campaign


@pytest.fixture
def campaign(tmp_path, test_config):
    """Return a campaign that has not begun."""
    return Campaign(tmp_path, copy.deepcopy(test_config))


@pytest.fixture
def complete(tmp_path, reference):
    """Return a copy of the complete campaign, to be changed."""
    shutil.copytree(reference.folder, tmp_path, dirs_exist_ok=True)
    return Campaign(tmp_path, copy.deepcopy(reference.config))
