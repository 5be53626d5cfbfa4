"""FITS files with errors that name file and extension; astropy is imported when a file is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from clmassmod.errors import ReaderError
from clmassmod.readers.common import missing_name
from clmassmod.records import Array


@contextmanager
def open_fits(path: Path) -> Iterator[Any]:
    """Open a FITS file; whatever astropy raises or warns of while it is read becomes ReaderError."""
    import warnings

    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # astropy leaves a file open that it cannot parse
            with path.open("rb") as handle, fits.open(handle, memmap=False, lazy_load_hdus=False) as hdus:
                yield hdus
    except ReaderError:
        raise
    except (OSError, TypeError, ValueError, KeyError, IndexError, Warning) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReaderError(f"{path}: not a whole FITS file ({reason})") from None


def header_value(hdus: Any, key: str) -> Any:
    """Return the first header's value of a key, or None."""
    return next((hdu.header[key] for hdu in hdus if key in hdu.header), None)


def image(hdus: Any, name: str, path: Path, only: bool = False) -> tuple[Array, Any]:
    """Return an image and its header: by extension's name or number, or if ``only`` the single image."""
    images = [hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS") == 2]
    if name.isdigit() and int(name) < len(hdus):
        chosen = hdus[int(name)]
    else:
        named = [hdu for hdu in images if hdu.name.lower() == name.lower()]
        chosen = named[0] if named else (images[0] if only and len(images) == 1 else None)
    if chosen is None or chosen.data is None:
        raise missing_name(path, "image extension", name, [hdu.name or str(i) for i, hdu in enumerate(hdus)])
    return np.asarray(chosen.data, dtype=float), chosen.header
