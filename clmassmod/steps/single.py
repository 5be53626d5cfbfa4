"""One halo's file by itself: fit it, or show what it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
from h5py import h5f

from clmassmod.errors import ConfigError, StoreError
from clmassmod.posterior import Posterior
from clmassmod.records import HaloFit, ShearProfile, SourceCatalog
from clmassmod.steps.halos import HaloFitter, Inputs, provenance_of
from clmassmod.steps.paths import Campaign
from clmassmod.store import load_catalog, load_fit, load_posterior, load_profile, save_fit
from clmassmod.store.tree import verify


def file_kind(path: Path | str) -> str:
    """Return what kind of result a file says that it holds; StoreError if it is none of ours."""
    image = verify(Path(path))
    try:
        with h5py.File(h5f.open_file_image(image)) as handle:
            if "provenance" in handle.attrs:  # of a posterior
                return str(json.loads(handle.attrs["provenance"])["kind"])
            return str(handle["provenance"].attrs["kind"])
    except (OSError, KeyError, ValueError):
        raise StoreError(f"{path}: not a result file of clmassmod, or damaged") from None


def load_halo(path: Path | str) -> SourceCatalog | ShearProfile:
    """Return the catalogue or profile that a mock, a profile or a fit of one halo holds."""
    kind = file_kind(path)
    if kind == "catalog":
        return load_catalog(path)
    if kind == "profile":
        return load_profile(path)
    if kind == "fit":
        profile = load_fit(path).profile
        if profile is not None:
            return profile
    raise ConfigError(f"{path}: holds a {kind!r} without data of one halo; give a mock, a profile or a fit")


def fit_file(path: Path | str, campaign: Campaign, analysis: str, output: str | None) -> HaloFit:
    """Fit one halo's file with an analysis of a campaign; write or print the result."""
    if analysis not in campaign.analyses:
        raise ConfigError(f"no analysis {analysis!r} (known: {', '.join(campaign.analyses)})")
    fitter = HaloFitter(Inputs(campaign), analysis)
    fit = fitter.fit_profile(fitter.measure(load_halo(path)))
    if output is None:
        print("\n".join(describe_fit(fit)))  # noqa: T201  (the command's output)
    else:
        save_fit(output, fit, provenance_of(campaign, campaign.hash("fit", analysis)))
    return fit


def describe_fit(fit: HaloFit) -> list[str]:
    """Return a fit in lines for the terminal."""
    lines = [f"halo {fit.halo_id}, z = {fit.z:.4f}: {fit.status}" + (f", {fit.reason}" if fit.reason else "")]
    lines += [f"  {name:24s} {value:.6g}" for name, value in fit.summary.items()]
    lines.append(f"  likelihoods: {', '.join(fit.ln_like)} on {len(fit.mass_msun)} masses")
    return lines


def _describe_posterior(posterior: Posterior) -> list[str]:
    lines = [f"posterior, {posterior.n_chains} chains"]
    for name in posterior.names:
        lo, hi = posterior.interval(0.68)[name]
        lines.append(
            f"  {name:24s} {posterior.mean[name]:.6g} ± {posterior.sd[name]:.3g}, 68 % [{lo:.6g}, {hi:.6g}]"
        )
    lines += [f"  {name:24s} {value}" for name, value in posterior.metadata.items()]
    return lines + [f"  warning: {text}" for text in posterior.warnings]


def show_file(path: Path | str) -> list[str]:
    """Return what a result file holds, in lines; the file is verified on the way."""
    kind = file_kind(path)
    if kind == "fit":
        fit = load_fit(path)
        head: dict[str, Any] = dict(fit.metadata.get("provenance", {}))
        return [*describe_fit(fit), *(f"  {k:24s} {v}" for k, v in head.items())]
    if kind == "posterior":
        return _describe_posterior(load_posterior(path))
    from clmassmod.store import read_tree

    return _outline(read_tree(path, kind), "")


def _outline(tree: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for name, value in tree.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}/", *_outline(value, indent + "  ")]
        elif getattr(value, "shape", ()):
            lines.append(f"{indent}{name}  {value.dtype} {value.shape}")
        else:
            lines.append(f"{indent}{name} = {value}")
    return lines
