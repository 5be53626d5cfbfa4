"""Where tests find the repository and the shared data."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference values and data of others, which users do not have."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("the folder of reference data, ../shared, is not here")
    return path
