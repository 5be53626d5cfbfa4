"""What a campaign should cite: the papers behind what its configuration asks for, and the software."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clmassmod.report.inputs import ReportInput


@dataclass(frozen=True)
class Reference:
    """One paper: authors as ``Surname, Surname & Surname`` or ``Surname et al.``, and where it appeared."""

    key: str
    authors: str
    year: int
    journal: str
    volume: str = ""
    page: str = ""  # or the number of an arXiv paper

    @property
    def text(self) -> str:
        """The reference as a list of references has it."""
        return f"{self.authors} {self.year}, " + ", ".join(
            filter(None, (self.journal, self.volume, self.page))
        )

    @property
    def bibtex(self) -> str:
        """The reference as a BibTeX entry."""
        names = re.split(r"\s*[,&]\s*", self.authors.replace(" et al.", ", others"))
        fields = {
            "author": " and ".join(name if name == "others" else f"{{{name}}}" for name in names),
            "year": str(self.year),
            "journal": self.journal,
            "volume": self.volume,
            "pages": self.page,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@article{{{self.key},", *lines, "}"])


def _paper(key: str, authors: str, year: int, journal: str, volume: str = "", page: str = "") -> Reference:
    return Reference(key, authors, year, journal, volume, page)


ANY = "*"  # whatever stands below the key
COLOSSUS = _paper("Diemer2018", "Diemer", 2018, "ApJS", "239", "35")
# What a name in the configuration asks for, as (path of the key, value): reasons and papers.
PAPERS: Mapping[tuple[str, str], tuple[str, tuple[Reference, ...]]] = {
    ("profile", "nfw"): (
        "NFW profile",
        (
            _paper("NFW1997", "Navarro, Frenk & White", 1997, "ApJ", "490", "493"),
            _paper("WrightBrainerd2000", "Wright & Brainerd", 2000, "ApJ", "534", "34"),
        ),
    ),
    ("profile", "tnfw"): (
        "truncated NFW profile",
        (_paper("Baltz2009", "Baltz, Marshall & Oguri", 2009, "JCAP", "01", "015"),),
    ),
    ("profile", "einasto"): (
        "Einasto profile",
        (_paper("Einasto1965", "Einasto", 1965, "Trudy Inst. Astrofiz. Alma-Ata", "5", "87"),),
    ),
    ("profile", "hernquist"): (
        "Hernquist profile",
        (_paper("Hernquist1990", "Hernquist", 1990, "ApJ", "356", "359"),),
    ),
    ("profile", "gnfw"): (
        "generalised NFW profile",
        (_paper("Zhao1996", "Zhao", 1996, "MNRAS", "278", "488"),),
    ),
    ("profile", "dk14"): (
        "Diemer–Kravtsov profile",
        (_paper("DiemerKravtsov2014", "Diemer & Kravtsov", 2014, "ApJ", "789", "1"),),
    ),
    ("profile", "diemer23"): (
        "Diemer profile",
        (_paper("Diemer2023", "Diemer", 2023, "MNRAS", "519", "3292"),),
    ),
    ("concentration", "duffy08"): (
        "concentration relation",
        (_paper("Duffy2008", "Duffy et al.", 2008, "MNRAS", "390", "L64"),),
    ),
    ("concentration", "bhattacharya13"): (
        "concentration relation",
        (_paper("Bhattacharya2013", "Bhattacharya et al.", 2013, "ApJ", "766", "32"), COLOSSUS),
    ),
    ("concentration", "diemer15"): (
        "concentration relation",
        (_paper("DiemerKravtsov2015", "Diemer & Kravtsov", 2015, "ApJ", "799", "108"), COLOSSUS),
    ),
    ("concentration", "diemer15_orig"): (
        "concentration relation",
        (_paper("DiemerKravtsov2015", "Diemer & Kravtsov", 2015, "ApJ", "799", "108"), COLOSSUS),
    ),
    ("concentration", "diemer19"): (
        "concentration relation",
        (_paper("DiemerJoyce2019", "Diemer & Joyce", 2019, "ApJ", "871", "168"), COLOSSUS),
    ),
    ("concentration", "child18"): (
        "concentration relation",
        (_paper("Child2018", "Child et al.", 2018, "ApJ", "859", "55"), COLOSSUS),
    ),
    ("concentration", "ishiyama21"): (
        "concentration relation",
        (_paper("Ishiyama2021", "Ishiyama et al.", 2021, "MNRAS", "506", "4210"), COLOSSUS),
    ),
    ("mass_function", "tinker08"): (
        "mass function of the synthetic haloes",
        (_paper("Tinker2008", "Tinker et al.", 2008, "ApJ", "688", "709"), COLOSSUS),
    ),
    ("distribution", "smail"): (
        "redshifts of the sources",
        (_paper("Smail1994", "Smail, Ellis & Fitchett", 1994, "MNRAS", "270", "245"),),
    ),
    ("distribution", "chang13"): (
        "redshifts of the sources",
        (_paper("Chang2013", "Chang et al.", 2013, "MNRAS", "434", "2121"),),
    ),
    ("distribution", "desc_srd"): (
        "redshifts of the sources",
        (_paper("DESC2018", "LSST Dark Energy Science Collaboration", 2018, "arXiv", page="1809.01669"),),
    ),
    ("large_scale_structure", "True"): (
        "noise of large-scale structure",
        (
            _paper("Hoekstra2003", "Hoekstra", 2003, "MNRAS", "339", "1155"),
            _paper("Takahashi2012", "Takahashi et al.", 2012, "ApJ", "761", "152"),
        ),
    ),
    ("baryons", ANY): (
        "baryonic correction",
        (_paper("Schneider2019", "Schneider et al.", 2019, "JCAP", "03", "020"),),
    ),
    ("method", "nuts"): (
        "sampler",
        (_paper("PyMC2023", "Abril-Pla et al.", 2023, "PeerJ Computer Science", "9", "e1516"),),
    ),
}
ALWAYS: tuple[tuple[str, Reference], ...] = (
    (
        "reduced shear of a source sample",
        _paper("SeitzSchneider1997", "Seitz & Schneider", 1997, "A&A", "318", "687"),
    ),
    ("workflow", _paper("Snakemake2021", "Mölder et al.", 2021, "F1000Research", "10", "33")),
    ("arrays", _paper("NumPy2020", "Harris et al.", 2020, "Nature", "585", "357")),
    ("numerical methods", _paper("SciPy2020", "Virtanen et al.", 2020, "Nature Methods", "17", "261")),
    (
        "distances and tables",
        _paper("Astropy2022", "Astropy Collaboration", 2022, "ApJ", "935", "167"),
    ),
)


def references(report: ReportInput) -> list[tuple[str, Reference]]:
    """Return each paper once with the first reason to cite it, the science before the software."""
    config = {key: report.config.get(key) for key in ("simulation", "surveys", "ensemble", "compare")}
    sections: list[Any] = [config, *(analysis.config for analysis in report.analyses)]
    found: dict[str, tuple[str, Reference]] = {}
    for section in sections:
        for path, value in _leaves(section):
            for (key, name), (reason, papers) in PAPERS.items():
                named = value == name and f".{path}".endswith(f".{key}")
                if named or (name == ANY and f".{key}." in f".{path}"):
                    for paper in papers:
                        found.setdefault(paper.key, (reason, paper))
    return [*found.values(), *ALWAYS]


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _leaves(value, prefix)
    else:
        yield prefix, str(tree)


def software_text(version: str) -> str:
    """Return how to cite the package itself."""
    return f"clmassmod, version {version}: calibration of weak-lensing cluster masses (BSD-3-Clause)"


def bibtex(report: ReportInput) -> str:
    """Return all references of a campaign as a BibTeX file."""
    version = str(report.provenance.get("clmassmod", ""))
    software = (
        "@software{clmassmod,\n  title = {clmassmod: calibration of weak-lensing cluster masses},\n"
        f"  version = {{{version}}},\n}}"
    )
    return "\n\n".join([software, *(reference.bibtex for _, reference in references(report))]) + "\n"
