"""A fitter that takes its time where it is asked to, and writes down what it does; its fits are scan's.

A file ``slow`` in the working directory says how many seconds a fit lasts, ``stuck`` which haloes hang once.
Results do not depend on either.
"""

import time
from pathlib import Path

from clmassmod.fitters import scan


def fit(profiles, model, **settings):
    """Fit one halo, and log whether its result was there already."""
    halo_id = profiles.halo.halo_id
    again = [path for path in Path("results").glob(f"*/fits/*/**/{halo_id}.h5")]
    with Path("fits.log").open("a") as log:
        log.write(f"{halo_id} {'again' if again else 'new'}\n")
    if Path("slow").is_file():
        time.sleep(float(Path("slow").read_text()))
    hung = Path(f"hung-{halo_id}")
    if Path("stuck").is_file() and halo_id in Path("stuck").read_text().split() and not hung.exists():
        hung.touch()
        time.sleep(3600)
    return scan.fit(profiles, model, **settings)
