"""The API's bounds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from service.api.streams import StreamSpec


@dataclass(frozen=True, slots=True)
class ApiSpec:
    """How much of a request is read at most; raises ValueError for a bound below 1."""

    max_json_bytes: int = 32 << 20
    max_capture_bytes: int = 1 << 30
    max_body_bytes: int = 128 << 20
    """Of all JSON bodies, and parts of captures, that are in memory at the same time."""
    max_rows: int = 100_000
    """Rows of a posted window, and sources with totals."""

    false_alarms: float = 1.0
    """What is configured, where nobody has changed it."""
    allow_rules: tuple[str, ...] = ()
    """Rules of the configured file."""
    streams: StreamSpec = field(default_factory=StreamSpec)

    def __post_init__(self) -> None:
        for each in fields(self):
            bound = getattr(self, each.name)
            if isinstance(bound, int) and bound < 1:
                raise ValueError(f"{each.name}: {bound} is less than 1")
