"""The API's bounds."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class ApiSpec:
    """How much of a request is read at most; raises ValueError for a bound below 1."""

    max_json_bytes: int = 32 << 20
    max_capture_bytes: int = 1 << 30
    max_rows: int = 100_000
    """Rows of a posted window, and sources with totals."""

    def __post_init__(self) -> None:
        for field in fields(self):
            bound = getattr(self, field.name)
            if bound < 1:
                raise ValueError(f"{field.name}: {bound} is less than 1")
