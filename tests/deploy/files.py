"""The files of deploy/, read."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from service.metrics import Metrics
from service.readiness import described_gauges
from service.settings import CONFIG, PREFIX, Settings, secret_names

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

# Comes with schemathesis; its types do not.
_yaml = import_module("yaml")


def documents(file: Path) -> list[Any]:
    """Return the YAML documents of a file."""
    return list(_yaml.safe_load_all(file.read_text()))


def document(file: Path) -> Any:
    """Return the only YAML document of a file."""
    (only,) = documents(file)
    return only


def known_variables() -> set[str]:
    """Return the variables of the environment that are read."""
    names = {PREFIX + name.upper() for name in Settings.model_fields}
    return names | {CONFIG} | {PREFIX + name.upper() + "_FILE" for name in secret_names()}


def variables_in(text: str) -> set[str]:
    """Return the names in a text that look like variables of ours."""
    return set(re.findall(r"\bYOCHO_[A-Z_]+\b", text))


def known_series() -> set[str]:
    """Return the names of all series that /metrics may show."""
    registry = CollectorRegistry()
    Metrics(registry, "")
    names = set()
    for family in [*registry.collect(), *described_gauges()]:
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


def series_in(expression: str) -> set[str]:
    """Return the names of series of ours in an expression of PromQL."""
    return set(re.findall(r"\byocho_[a-z_]+", re.sub(r'"[^"]*"', "", expression)))
