"""What goes wrong with machines and people: a clear line, nothing lost, the same result in the end."""

import subprocess

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


def lines_of(run):
    """Return what our own code says on the screen."""
    return [line for line in run.screen.splitlines() if line.startswith("clmassmod:")]


@pytest.fixture
def tmpfs(campaign):
    """Return a function that mounts a small file system of its own on the campaign's results."""
    mounted = []

    def mount(*options):
        place = campaign.folder / "results"
        place.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_folder_that_cannot_be_written_is_said_in_one_line(campaign, tmpfs):
    tmpfs("-o", "ro")
    run = campaign.run()
    assert (run.code, run.jobs) == (1, [])
    assert "Traceback" not in run.screen
    assert len(lines_of(run)) == 1
    assert "Read-only file system" in lines_of(run)[0]
