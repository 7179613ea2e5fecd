"""Sets of services in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.capture.services import NUMBERED, format_service

if TYPE_CHECKING:
    from collections.abc import Iterable


def format_services(codes: Iterable[int]) -> str:
    """Write services given as numbers, with runs of ports drawn together: ``tcp/22,80,443-445 udp/53``."""
    runs: list[tuple[int, int]] = []
    for code in sorted(set(codes)):
        if runs and code == runs[-1][1] + 1 and code >> 16 in NUMBERED and code & 0xFFFF:
            runs[-1] = (runs[-1][0], code)
        else:
            runs.append((code, code))
    words: dict[str, list[str]] = {}
    for first, last in runs:
        protocol, _, port = format_service(first).partition("/")
        words.setdefault(protocol, []).append(port if first == last else f"{port}-{last & 0xFFFF}")
    return " ".join(f"{protocol}/{','.join(ports)}" for protocol, ports in words.items())
