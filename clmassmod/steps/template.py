"""The commented configuration that `clmassmod init` writes."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from clmassmod.errors import ConfigError
from clmassmod.store import write_text


def write_template(path: Path, name: str | None, force: bool) -> None:
    """Write a configuration that runs as it is; ConfigError if the file is there and not forced."""
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already; give another name, or --force to replace it")
    campaign = name or re.sub(r"[^A-Za-z0-9._+-]+", "-", path.stem).lstrip("._+-") or "campaign"
    template = (files("clmassmod") / "templates" / "campaign.yaml").read_text(encoding="utf-8")
    write_text(path, template.format(name=campaign, file=path))
