"""Units as files write them: Msun / Mpc2, h Msun / pc^2 (comoving), kpc/h, 1e10 Msun/h, arcsec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from clmassmod.core.units import ARCMIN_RAD, ARCSEC_RAD
from clmassmod.errors import ReaderError
from clmassmod.records import Array

_BASE = {
    "msun": ("mass", 1.0),
    "m_sun": ("mass", 1.0),
    "msol": ("mass", 1.0),
    "solmass": ("mass", 1.0),
    "m_sol": ("mass", 1.0),
    "mpc": ("length", 1.0),
    "kpc": ("length", 1e-3),
    "pc": ("length", 1e-6),
    "rad": ("angle", 1.0),
    "radian": ("angle", 1.0),
    "radians": ("angle", 1.0),
    "deg": ("angle", 60.0 * ARCMIN_RAD),
    "degree": ("angle", 60.0 * ARCMIN_RAD),
    "degrees": ("angle", 60.0 * ARCMIN_RAD),
    "arcmin": ("angle", ARCMIN_RAD),
    "arcsec": ("angle", ARCSEC_RAD),
}
_TOKEN = re.compile(r"([A-Za-z_]+)(?:\s*(?:\*\*|\^)?\s*\(?([+-]?\d+)\)?)?")
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:e[+-]?\d+|\^\d+)?")


@dataclass(frozen=True)
class Unit:
    """Powers of mass, length, angle and h, a factor to Msun, Mpc and radians, comoving or not."""

    text: str
    factor: float = 1.0
    mass: int = 0
    length: int = 0
    angle: int = 0
    h: int = 0
    comoving: bool = False

    def factors(self, h: float, z: ArrayLike, *, mass: int = 0, length: int = 0, angle: int = 0) -> Array:
        """Return the factor to physical Msun, Mpc and radians, of the shape of the redshifts.

        Raises
        ------
        ReaderError
            Where the unit is not of the wanted dimension.
        """
        if (self.mass, self.length, self.angle) != (mass, length, angle):
            powers = (("Msun", mass), ("Mpc", length), ("rad", angle))
            wanted = " ".join(f"{name}^{power}" for name, power in powers if power) or "pure number"
            raise ReaderError(f"unit {self.text!r} is not of the dimension {wanted}")
        comoving = (1.0 + np.asarray(z, dtype=float)) ** (-self.length if self.comoving else 0)
        return np.asarray(self.factor * h**self.h * comoving)

    def to_internal(self, h: float, z: float, *, mass: int = 0, length: int = 0, angle: int = 0) -> float:
        """Return the factor for one redshift; as ``factors``."""
        return float(self.factors(h, z, mass=mass, length=length, angle=angle))


@lru_cache(maxsize=64)
def parse_unit(text: str) -> Unit:
    """Return the unit that a text describes.

    Text after a comma or colon, or in parentheses after the unit, is a comment; the word "comoving" in
    it, or a unit such as cMpc, makes lengths comoving.

    Raises
    ------
    ReaderError
        For a word that is not a unit.
    """
    comoving = "comoving" in text.lower()
    plain = re.sub(r"\([^()\d]*\)", " ", text)  # a comment in parentheses
    plain = re.split(r"[,:;]|\bcomoving\b|\bphysical\b", plain)[0].strip()
    powers = {"mass": 0, "length": 0, "angle": 0}
    factor, h_power = 1.0, 0
    position, sign = 0, 1
    while position < len(plain):
        character = plain[position]
        if character in " *.()":
            position += 1
            continue
        if character == "/":
            sign, position = -1, position + 1
            continue
        number = _NUMBER.match(plain, position)
        if number:
            value = number[0]
            factor *= (float(value.partition("^")[0]) ** float(value.partition("^")[2] or 1.0)) ** sign
            position, sign = number.end(), 1
            continue
        token = _TOKEN.match(plain, position)
        if token is None:
            raise _unknown(text, plain[position:])
        name, power = token[1], sign * int(token[2] or 1)
        position, sign = token.end(), 1
        if name == "h":
            h_power += power
            continue
        if name.lower() in ("cmpc", "ckpc", "cpc"):
            name, comoving = name[1:], True
        if name.lower() not in _BASE:
            raise _unknown(text, name)
        dimension, size = _BASE[name.lower()]
        powers[dimension] += power
        factor *= size**power
    return Unit(text, factor, **powers, h=h_power, comoving=comoving)


def _unknown(text: str, word: str) -> ReaderError:
    return ReaderError(
        f"unit {text!r}: {word!r} is not known (known: Msun, Mpc, kpc, pc, rad, deg, arcmin, arcsec, h)"
    )
