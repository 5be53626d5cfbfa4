"""Write fits that are in memory, as the step `fit` would."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clmassmod.records import HaloFit
from clmassmod.store import save_fit, write_text

_ADDED = ("kind", "format_version", "package_version")  # by the store


def save_fits(
    folder: Path, fits: Mapping[str, HaloFit], provenance: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Write one file a halo and a table of summaries; return the halo files.

    Parameters
    ----------
    folder
        Made where it is not there.
    fits
        By halo id.
    provenance
        By halo id, for fits that carry none from a file.
    """
    paths = []
    for halo_id, fit in fits.items():
        metadata = dict(fit.metadata)
        stored = metadata.pop("provenance", None)
        origin = provenance.get(halo_id, {}) if stored is None else stored
        path = folder / f"{halo_id}.h5"
        kept = {k: v for k, v in origin.items() if k not in _ADDED}
        save_fit(path, replace(fit, metadata=metadata), kept)
        paths.append(str(path))
    write_text(folder / "summary.csv", _table(fits))
    return paths


def _table(fits: Mapping[str, HaloFit]) -> str:
    names = list(dict.fromkeys(name for fit in fits.values() for name in fit.summary))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["halo_id", "z", "status", "mass_definition", *names])
    for halo_id, fit in fits.items():
        values = [repr(float(fit.summary[n])) if n in fit.summary else "" for n in names]
        writer.writerow([halo_id, repr(float(fit.z)), fit.status, fit.mass_definition, *values])
    return text.getvalue()
