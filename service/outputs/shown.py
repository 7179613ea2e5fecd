"""Where the outputs stand, for people who ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.deliveries import Standing
    from service.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Shown:
    """An output that is configured, or was."""

    name: str
    configured: bool
    standing: Standing | None
    """None if it never began: no worker has run with it yet."""


def shown_outputs(store: SqlStore, configured: Sequence[str]) -> list[Shown]:
    """Return the outputs: those that are configured, in their order, then those that are no longer."""
    with store.read() as unit:
        standings = {each.delivery.output: each for each in unit.deliveries.standings()}
    others = [name for name in standings if name not in configured]
    return [Shown(name, name in configured, standings.get(name)) for name in [*configured, *others]]
