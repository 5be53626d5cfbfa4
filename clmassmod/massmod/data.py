"""The observables of a ``CLMassMod``, and the catalogues and profiles that become of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clmassmod.config.notebook import NotebookConfig
from clmassmod.errors import ConfigError
from clmassmod.readers.observed import Kind
from clmassmod.records import ShearProfile, SourceCatalog
from clmassmod.registry import suggest
from clmassmod.steps.notebook import Session, make_call
from clmassmod.steps.observables import KINDS, Sources, accept, matched

OBSERVABLES = tuple(f"obs_{kind}" for kind in KINDS)


class Data:
    """Observables by kind, checked when they are assigned."""

    def __init__(self, config: NotebookConfig) -> None:
        self._config = config
        self._observables: dict[Kind, Sources] = {}
        self._session: Session | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; an observable that does not exist is refused."""
        if name.startswith("obs") and name not in OBSERVABLES:
            raise ConfigError(f"CLMassMod has no observable {name!r}{suggest(name, list(OBSERVABLES))}")
        super().__setattr__(name, value)

    def _observe(self, kind: Kind, value: Any) -> None:
        changed = {k: v for k, v in self._observables.items() if k != kind}
        if value is not None:
            changed[kind] = accept(kind, value, self._config.cosmology.build())
        matched(changed)
        self._observables = changed
        self._session = None

    def _observed(self, kind: Kind) -> Any:
        found = list(dict.fromkeys(s.observed for s in self._observables.get(kind, {}).values()))
        return found[0] if len(found) == 1 else (found or None)

    @property
    def obs_mass_map(self) -> Any:
        """Maps of surface mass density, from ``utils.load_mass_map``; None: there are none."""
        return self._observed("mass_map")

    @obs_mass_map.setter
    def obs_mass_map(self, value: Any) -> None:
        self._observe("mass_map", value)

    @property
    def obs_kappa_map(self) -> Any:
        """Maps of convergence, from ``utils.load_kappa_map``; None: there are none."""
        return self._observed("kappa_map")

    @obs_kappa_map.setter
    def obs_kappa_map(self, value: Any) -> None:
        self._observe("kappa_map", value)

    @property
    def obs_gamma_theta(self) -> Any:
        """Profiles of reduced tangential shear, from ``utils.load_gamma_theta``; None: there are none."""
        return self._observed("gamma_theta")

    @obs_gamma_theta.setter
    def obs_gamma_theta(self, value: Any) -> None:
        self._observe("gamma_theta", value)

    @property
    def obs_delta_sigma(self) -> Any:
        """Profiles of excess surface density, from ``utils.load_delta_sigma``; None: there are none."""
        return self._observed("delta_sigma")

    @obs_delta_sigma.setter
    def obs_delta_sigma(self, value: Any) -> None:
        self._observe("delta_sigma", value)

    def session(self) -> Session:
        """Return the haloes with the parameters of the last fit, or of the configuration before any."""
        if self._session is None:
            self._session = self.session_for(self._config.method, {})
        return self._session

    def session_for(self, method: Any, parameters: Mapping[str, Any] | None) -> Session:
        """Return the haloes with the parameters of a call."""
        halos = matched(self._observables)
        if not halos:
            raise ConfigError(f"no data yet: assign one or more of {', '.join(OBSERVABLES)} first")
        return Session(make_call(self._config, method, parameters), halos)

    @property
    def catalogs(self) -> Mapping[str, tuple[SourceCatalog, ...]]:
        """Mock galaxies of each halo's maps, made when asked for."""
        return self.session().made_catalogs

    @property
    def profiles(self) -> Mapping[str, tuple[ShearProfile, ...]]:
        """Profiles of each halo in the radial range of the fit, made when asked for."""
        return self.session().made_profiles
