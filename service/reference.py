"""The tables of settings and metrics in docs/operations.md: `python -m service.reference docs/operations.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from service.errors import InputError
from service.metrics import Metrics
from service.readiness import described_gauges
from service.settings import CONFIG, PREFIX, Settings, secret_names

if TYPE_CHECKING:
    from collections.abc import Iterable

_MEBIBYTE = 1 << 20


def settings_table() -> str:
    """Return a row for each setting: variable, default, what."""
    secrets = secret_names()
    rows = [(f"`{CONFIG}`", "none", "TOML file of settings; as a flag: `yocho --config FILE`")]
    for name, field in Settings.model_fields.items():
        variable = f"`{PREFIX}{name.upper()}`"
        text = field.description or ""
        if name in secrets:
            text += f"; `{PREFIX}{name.upper()}_FILE` names a file that holds it"
        rows.append((variable, _default(name, field.default), text))
    return _table(("variable", "default", "what"), rows)


def metrics_table() -> str:
    """Return a row for each metric: name, type, what."""
    registry = CollectorRegistry()
    Metrics(registry, "")
    families = [*registry.collect(), *described_gauges()]
    rows = [
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.type, family.documentation)
        for family in families
        if not family.name.endswith("_created")
    ]
    return _table(("metric", "type", "what"), rows)


def with_tables(page: str) -> str:
    """Return the page with its tables as they are now; raises InputError if it lacks the marks of one."""
    for name, table in (("settings", settings_table()), ("metrics", metrics_table())):
        begin, end = f"<!-- {name}: made by make reference -->\n", f"<!-- end of {name} -->"
        before, mark, rest = page.partition(begin)
        _, close, after = rest.partition(end)
        if not mark or not close:
            raise InputError(name, f"the page has no lines {begin.strip()!r} and {end!r}")
        page = before + mark + "\n" + table + "\n" + close + after
    return page


def _default(name: str, value: object) -> str:
    if value == "":
        return "none"
    if isinstance(value, int) and name.endswith("_bytes") and value % _MEBIBYTE == 0:
        return f"`{value}` ({value // _MEBIBYTE} MiB)"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        file = Path(argument)
        file.write_text(with_tables(file.read_text()))
