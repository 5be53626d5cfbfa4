"""ln posterior density of one halo's mass and nuisance parameters, with its gradient.

Parameters are unconstrained: a logistic map to the range of ln M (and of ln c where it is free in a range,
and to the distribution function of the centre's offset), standard normal deviates for the rest. A uniform u =
1 / (1 + exp(-z)) has the density u (1 - u) in z; a prior flat in M adds ln M, as dM = M d(ln M).

Where a share f of haloes is off centre, L = f L(offset) + (1 - f) L(0), and the offset that is drawn is that
of the first case: of a halo that is centred it follows its prior.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from clmassmod.fitters.data import FitData
from clmassmod.fitters.grid import NODES_MSUN
from clmassmod.fitters.likelihood import LensModel
from clmassmod.fitters.summary import MassPrior
from clmassmod.fitters.surfaces import surfaces
from clmassmod.records import Array

LN_M_LOW, LN_M_HIGH = float(np.log(NODES_MSUN[0])), float(np.log(NODES_MSUN[-1]))
_LN_C_STEP = 0.1
_REACH = 5.0  # standard deviations of the lognormal scatter that are tabulated
_N_OFFSETS = 48


class HaloDensity:
    """Callable: unconstrained parameters (parameter,) to ln density and gradient.

    Parameters
    ----------
    model : LensModel
    data : FitData
    prior : {"flat", "log"}
        Flat in mass, or in its logarithm.
    """

    def __init__(self, model: LensModel, data: FitData, prior: MassPrior) -> None:
        self._model, self._nuisance = model, model.nuisance
        self._z = data.profiles[0].halo.z
        self._flat = 1.0 if prior == "flat" else 0.0
        self._ln_c = self._ln_c_nodes()
        self._offset, self._fraction = self._offset_nodes()
        self.names = self._names()
        whitening = np.diag(1.0 / data.error) if data.whitening is None else data.whitening
        self._fixed = (np.ascontiguousarray(whitening), whitening @ data.value, *self._tables(data))

    def _names(self) -> list[str]:
        nuisance = self._nuisance
        present = {
            "ln_concentration": nuisance.ln_c_scatter is not None or nuisance.ln_c_range is not None,
            "offset_mpc": nuisance.offset is not None,
            "two_halo": nuisance.two_halo is not None and nuisance.two_halo[1] > 0,
            "shear_bias": nuisance.shear_bias is not None and nuisance.shear_bias[1] > 0,
        }
        return ["ln_mass", *(name for name, there in present.items() if there)]

    def _ln_c_nodes(self) -> Array:
        """Return nodes of ln c, or of its shift from the relation; one node: fixed."""
        if self._nuisance.ln_c_scatter is not None:
            reach = _REACH * self._nuisance.ln_c_scatter
            low, high = -reach, reach
        elif self._nuisance.ln_c_range is not None:
            low, high = self._nuisance.ln_c_range
        else:
            return np.zeros(1)
        return np.linspace(low, high, max(math.ceil((high - low) / _LN_C_STEP), 4) + 1)

    def _offset_nodes(self) -> tuple[Array | None, float]:
        if self._nuisance.offset is None:
            return None, 1.0
        distribution, scale, fraction = self._nuisance.offset
        return np.linspace(0.0, (5.5 if distribution == "rayleigh" else 16.0) * scale, _N_OFFSETS), fraction

    def _tables(self, data: FitData) -> tuple[Array, ...]:
        """Return kappa and gamma (offset, c, mass, bin, 2), two-halo term (mass, bin, 2), beta (bin, 2)."""
        model, environment = self._model, self._model.environment(data.profiles[0])
        relation = model.concentration(NODES_MSUN, self._z)
        free = self._nuisance.ln_c_range is not None
        factor = np.exp(self._ln_c)[:, np.newaxis]
        concentration = factor * (np.ones_like(relation) if free else relation)
        masses = np.broadcast_to(NODES_MSUN, concentration.shape)
        one, two, beta = [], [], []
        for profile, used in zip(data.profiles, data.used, strict=True):
            radius = profile.radius_mpc[used]
            found = surfaces(model, radius, environment, masses, concentration, self._offset)
            term = model.two_halo(radius, self._z, NODES_MSUN) if self._nuisance.two_halo else None
            unit = 1.0 if profile.observable == "delta_sigma" else profile.sigma_crit_inf_msun_mpc2
            shown = "sigma" if profile.observable == "kappa" else "delta_sigma"
            one.append(np.stack([found.sigma, getattr(found, shown)], axis=-1) / unit)
            zero = np.zeros((len(NODES_MSUN), len(radius)))
            two.append(
                np.stack([zero, zero] if term is None else [term.sigma, getattr(term, shown)], axis=-1) / unit
            )
            b1 = np.ones(len(radius)) if profile.observable == "delta_sigma" else profile.beta_s[used]
            # no pole where the observable is linear
            b2 = profile.beta_s2[used] if profile.observable == "g_t" else np.zeros(len(radius))
            beta.append(np.stack([b1, b2 / b1], axis=-1))
        return np.concatenate(one, axis=3), np.concatenate(two, axis=1), np.concatenate(beta)

    def start(self, mass_msun: float) -> Array:
        """Return a point of the density at a mass, nuisance parameters at the middle of their priors."""
        share = (math.log(mass_msun) - LN_M_LOW) / (LN_M_HIGH - LN_M_LOW)
        point = np.zeros(len(self.names))
        point[0] = math.log(share / (1.0 - share))
        return point

    def _physical(self, x: Array) -> tuple[dict[str, float], dict[str, float], float, Array]:
        """Return values, their slopes with respect to x, ln of the prior times Jacobian, and its gradient."""
        value: dict[str, float] = {}
        slope: dict[str, float] = {}
        ln_prior, gradient = 0.0, np.zeros(len(x))
        for i, name in enumerate(self.names):
            z = float(x[i])
            if name in ("two_halo", "shear_bias") or (
                name == "ln_concentration" and self._nuisance.ln_c_scatter is not None
            ):
                ln_prior -= 0.5 * z * z
                gradient[i] -= z
                mean, sd = self._normal(name)
                value[name], slope[name] = mean + sd * z, sd
                continue
            u = 1.0 / (1.0 + math.exp(-z)) if z > -700 else 0.0
            jacobian = u * (1.0 - u)
            ln_prior -= abs(z) + 2.0 * math.log1p(math.exp(-abs(z)))  # ln of the logistic density
            gradient[i] += 1.0 - 2.0 * u
            if name == "offset_mpc":
                value[name], along = self._offset_of(u)
                slope[name] = along * jacobian
                continue
            low, high = (LN_M_LOW, LN_M_HIGH) if name == "ln_mass" else (self._ln_c[0], self._ln_c[-1])
            value[name], slope[name] = low + (high - low) * u, (high - low) * jacobian
        ln_prior += self._flat * value["ln_mass"]
        gradient[0] += self._flat * slope["ln_mass"]
        return value, slope, ln_prior, gradient

    def _normal(self, name: str) -> tuple[float, float]:
        if name == "ln_concentration":
            return 0.0, float(self._nuisance.ln_c_scatter or 0.0)
        found = self._nuisance.two_halo if name == "two_halo" else self._nuisance.shear_bias
        return found if found is not None else (0.0, 0.0)

    def _offset_of(self, u: float) -> tuple[float, float]:
        """Return the quantile of the offset's distribution and its slope."""
        assert self._nuisance.offset is not None
        distribution, scale, _ = self._nuisance.offset
        rest = max(1.0 - u, 1e-300)
        if distribution == "rayleigh":
            s = math.sqrt(max(-2.0 * math.log(rest), 1e-16))
            return scale * s, scale / (s * rest)
        s = _gamma_quantile(u)
        return scale * s, scale / max(s * math.exp(-s), 1e-12)

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return ln density and its gradient (parameter,) at unconstrained parameters (parameter,)."""
        value, slope, ln_prior, gradient = self._physical(x)
        shear = self._nuisance.shear_bias or (0.0, 0.0)
        two_halo = self._nuisance.two_halo or (0.0, 0.0)
        shift = value.get("ln_concentration", 0.0)
        offset = value.get("offset_mpc", 0.0)
        amplitude, m = value.get("two_halo", two_halo[0]), value.get("shear_bias", shear[0])
        offset_step = 1.0 if self._offset is None else self._offset[1]
        c_step = 1.0 if len(self._ln_c) == 1 else self._ln_c[1] - self._ln_c[0]
        place = (
            offset / offset_step,
            (shift - self._ln_c[0]) / c_step,
            (value["ln_mass"] - LN_M_LOW) / _MASS_STEP,
        )
        ln_like, slopes = _ln_like(*place, amplitude, m, *self._fixed)
        slopes[:3] /= (offset_step, c_step, _MASS_STEP)
        if self._fraction < 1.0:
            centred, other = _ln_like(0.0, *place[1:], amplitude, m, *self._fixed)
            other[:3] /= (1.0, c_step, _MASS_STEP)
            other[0] = 0.0
            ln_like, slopes = _mixture(ln_like, slopes, centred, other, self._fraction)
        order = {"offset_mpc": 0, "ln_concentration": 1, "ln_mass": 2, "two_halo": 3, "shear_bias": 4}
        for i, name in enumerate(self.names):
            gradient[i] += slopes[order[name]] * slope[name]
        return float(ln_like + ln_prior), gradient

    def expand(self, x: Array) -> dict[str, float]:
        """Return what is kept of a draw: the mass [Msun], the concentration, nuisance parameters."""
        value = self._physical(x)[0]
        mass = math.exp(value["ln_mass"])
        kept: dict[str, Any] = {"ln_mass": value["ln_mass"], "mass_msun": mass}
        if "ln_concentration" in value:
            c = math.exp(value["ln_concentration"])
            if self._nuisance.ln_c_scatter is not None:
                c *= float(self._model.concentration(np.array([mass]), self._z)[0])
            kept["concentration"] = c
        return {**kept, **{k: v for k, v in value.items() if k not in ("ln_mass", "ln_concentration")}}


_MASS_STEP = (LN_M_HIGH - LN_M_LOW) / (len(NODES_MSUN) - 1)


def _gamma_quantile(u: float) -> float:
    """Return s with 1 - exp(-s) (1 + s) = u, by Newton's method from a bracketing start."""
    s = math.sqrt(2.0 * u) if u < 0.5 else 1.0 - math.log(max(1.0 - u, 1e-300))
    for _ in range(60):
        step = (1.0 - math.exp(-s) * (1.0 + s) - u) / max(s * math.exp(-s), 1e-300)
        s = max(s - max(min(step, 1.0), -1.0), 1e-8)
        if abs(step) < 1e-12 * (1.0 + s):
            break
    return s


def _mixture(
    ln_off: float, slopes_off: Array, ln_on: float, slopes_on: Array, fraction: float
) -> tuple[float, Array]:
    """Return ln of fraction L_off + (1 - fraction) L_on and its slopes."""
    a, b = math.log(fraction) + ln_off, math.log1p(-fraction) + ln_on
    total = max(a, b) + math.log1p(math.exp(-abs(a - b)))
    return total, math.exp(a - total) * slopes_off + math.exp(b - total) * slopes_on


@njit(cache=True, nogil=True)
def _stencil(x, n):  # type: ignore[no-untyped-def]  # pragma: no cover  compiled
    """Return first node, weights and their slopes of cubic interpolation; held at the edges."""
    weight, slope = np.zeros(4), np.zeros(4)
    if n == 1:
        weight[0] = 1.0
        return 0, 1, weight, slope
    inside = 0.0 <= x <= n - 1.0
    x = min(max(x, 0.0), n - 1.0)
    first = min(max(int(x) - 1, 0), n - 4)
    t = x - first
    a, b, c, d = t, t - 1.0, t - 2.0, t - 3.0
    weight[0], weight[1] = -b * c * d / 6.0, a * c * d / 2.0
    weight[2], weight[3] = -a * b * d / 2.0, a * b * c / 6.0
    if inside:
        slope[0] = -(c * d + b * d + b * c) / 6.0
        slope[1] = (c * d + a * d + a * c) / 2.0
        slope[2] = -(b * d + a * d + a * b) / 2.0
        slope[3] = (b * c + a * c + a * b) / 6.0
    return first, 4, weight, slope


@njit(cache=True, nogil=True)
def _ln_like(  # type: ignore[no-untyped-def]  # noqa: C901  # pragma: no cover  compiled loops
    x_s, x_c, x_m, amplitude, m, whitening, target, one, two, beta
):
    """Return ln L and its slopes along offset, ln c, ln M (in steps), two-halo amplitude and shear bias.

    ln L = -|r|^2 / 2 with r = W (d - (1 + m) g), W the whitening: its slope by a parameter p is r . W dg/dp
    (1 + m), and g and dg/dp as at the head of ``fitters.observables``.
    """
    i0, ni, wi, di = _stencil(x_s, one.shape[0])
    j0, nj, wj, dj = _stencil(x_c, one.shape[1])
    k0, nk, wk, dk = _stencil(x_m, one.shape[2])
    n = one.shape[3]
    residual = target.copy()
    change = np.zeros((5, n))
    for b in range(n):
        surface, along = np.zeros(2), np.zeros((4, 2))
        for k in range(nk):
            for q in range(2):
                term = two[k0 + k, b, q]
                surface[q] += amplitude * wk[k] * term
                along[2, q] += amplitude * dk[k] * term
                along[3, q] += wk[k] * term
                for i in range(ni):
                    for j in range(nj):
                        value = one[i0 + i, j0 + j, k0 + k, b, q]
                        surface[q] += wi[i] * wj[j] * wk[k] * value
                        along[0, q] += di[i] * wj[j] * wk[k] * value
                        along[1, q] += wi[i] * dj[j] * wk[k] * value
                        along[2, q] += wi[i] * wj[j] * dk[k] * value
        below = 1.0 - beta[b, 1] * surface[0]
        shear = beta[b, 0] * surface[1]
        strong = beta[b, 1] > 0.0 and abs(shear) > below
        divisor = 2.0 * abs(shear) - below if strong else below
        signal = shear / divisor
        for p in range(4):
            slope = beta[b, 0] * along[p, 1] * below / divisor + signal * beta[b, 1] * along[p, 0]
            change[p, b] = (1.0 + m) * slope / divisor
        if strong:
            signal = math.copysign(2.0, shear) - signal
        change[4, b] = signal
        for r in range(n):
            residual[r] -= whitening[r, b] * (1.0 + m) * signal
    slopes = np.zeros(5)
    for p in range(5):
        for r in range(n):
            moved = 0.0
            for b in range(n):
                moved += whitening[r, b] * change[p, b]
            slopes[p] += residual[r] * moved
    return -0.5 * np.sum(residual * residual), slopes
