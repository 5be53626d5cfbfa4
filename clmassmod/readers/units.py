"""Units as files write them: Msun / Mpc2, h Msun / pc^2 (comoving), kpc/h, 1e10 Msun/h, arcsec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

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
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+|\^\d+)?)|(?P<name>[A-Za-z_]+)"
    r"|(?P<open>\()|(?P<close>\))|(?P<divide>/)|(?P<times>[*.](?!\*)))"
)
_POWER = re.compile(r"\s*(?:(?:\*\*|\^)\s*\(?([+-]?\d+)\)?|([+-]?\d+))")
_KIND = re.compile(r"\b(?:comoving|physical|proper)\b", re.IGNORECASE)
_COMOVING = ("cmpc", "ckpc", "cpc")


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

    A slash divides by the one name or bracket that follows it. Text after a comma, colon or semicolon is
    a comment, and so is a bracket with a word that is no unit; the word "comoving" anywhere, or a unit
    such as cMpc, makes lengths comoving.

    Raises
    ------
    ReaderError
        For a word that is not a unit.
    """
    plain = re.sub(r"\([^()]*\)", _drop_comment, text)
    plain = _KIND.sub(" ", re.split(r"[,:;]", plain)[0]).strip()
    parser = _Parser(text, plain)
    powers = parser.expression()
    if parser.position < len(plain):
        raise parser.error()
    comoving = parser.comoving or "comoving" in text.lower()
    return Unit(
        text,
        powers["factor"],
        **{k: int(powers[k]) for k in ("mass", "length", "angle", "h")},
        comoving=comoving,
    )


def mass_unit_msun(text: str | None, source: Path, h: float) -> float:
    """Return the unit of a simulation's true masses in Msun.

    Raises
    ------
    ReaderError
        Where none is given, or it is not one of mass.
    """
    if text is None:
        raise ReaderError(
            f"{source}: does not state the unit of its true masses; set simulation.options.mass_unit, "
            "such as 'Msun/h', or give truth.path"
        )
    return parse_unit(text).to_internal(h, 0.0, mass=1)


def _drop_comment(match: re.Match[str]) -> str:
    words = re.findall(r"[A-Za-z_]+", match[0])
    return match[0] if all(w == "h" or w.lower() in _BASE or w.lower() in _COMOVING for w in words) else " "


class _Parser:
    """Recursive descent: expression = {["/"] item}, item = (number | name | "(" expression ")") [power]."""

    def __init__(self, text: str, plain: str) -> None:
        self.text, self.plain, self.position, self.comoving = text, plain, 0, False

    def error(self) -> ReaderError:
        rest = self.plain[self.position :].strip()
        return ReaderError(
            f"unit {self.text!r}: {rest!r} is not known "
            "(known: Msun, Mpc, kpc, pc, rad, deg, arcmin, arcsec, h)"
        )

    def expression(self) -> dict[str, float]:
        total = {"factor": 1.0, "mass": 0.0, "length": 0.0, "angle": 0.0, "h": 0.0}
        sign = 1
        while self.position < len(self.plain):
            match = _TOKEN.match(self.plain, self.position)
            if match is None:
                raise self.error()
            if match["close"]:
                break
            if match["divide"] or match["times"]:
                self.position, sign = match.end(), -1 if match["divide"] else 1
                continue
            item = self._item(match)
            power = sign * self._power()
            total["factor"] *= item.pop("factor") ** power
            for key, value in item.items():
                total[key] += power * value
            sign = 1
        return total

    def _item(self, match: re.Match[str]) -> dict[str, float]:
        if match["open"]:
            self.position = match.end()
            inner = self.expression()
            closing = _TOKEN.match(self.plain, self.position)
            if closing is None or not closing["close"]:
                raise self.error()
            self.position = closing.end()
            return inner
        if match["number"]:
            base, _, exponent = match["number"].partition("^")
            self.position = match.end()
            return {"factor": float(base) ** float(exponent or 1)}
        name = match["name"]
        if name == "h":
            self.position = match.end()
            return {"factor": 1.0, "h": 1.0}
        if name.lower() in _COMOVING:
            name, self.comoving = name[1:], True
        if name.lower() not in _BASE:
            raise self.error()
        self.position = match.end()
        dimension, size = _BASE[name.lower()]
        return {"factor": size, dimension: 1.0}

    def _power(self) -> int:
        match = _POWER.match(self.plain, self.position)
        if match is None:
            return 1
        self.position = match.end()
        return int(match[1] or match[2])
