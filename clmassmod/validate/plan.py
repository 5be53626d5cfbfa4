"""Which modules check which step, and where the results go; light, for the workflow reads it at its start."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

STEPS: dict[str, tuple[str, ...]] = {
    "tables": ("background", "structure", "relations"),
    "profiles": ("densities", "lensing"),
    "reader": ("reader", "population"),
    "shear": ("shear",),
    "mock": ("mock", "survey"),
    "measurement": ("measurement", "pixels"),
    "scan": ("scan", "marginals"),
    "curvefit": ("curvefit",),
    "nuts": ("nuts",),
    "ensemble": ("ensemble",),
    "comparison": ("comparison", "calibration"),
    "end_to_end": ("end_to_end",),
}
"""Steps in the order in which results pass through them."""

LONGEST = ("comparison", "nuts", "ensemble", "scan", "mock", "end_to_end")
"""Steps that are begun first, so that no core waits for them at the end."""

FOLDER = Path("results/validation")
TABLE, PAGE = "validation.csv", "index.html"


def record_file(folder: Path, step: str) -> Path:
    """Return where the outcomes of a step are kept."""
    return Path(folder) / "steps" / f"{step}.json"


def source_hash() -> str:
    """Return a hash of the package's source, so that a changed constant is validated again."""
    digest = sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
