"""Windows as sensors post them: the same hosts from window to window, a few scanners, a group now and then.

A sensor has hosts of some roles. A host comes in most windows, tries most of its role's services at one to three
targets, nearly all answered, and now and then a service of its own. Beside them are a vertical scanner, which tries
new ports in each window, a horizontal one, and in every tenth window twelve sources that share a list of ports.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MINUTE = 60
START = 1_700_000_000 // MINUTE * MINUTE
"""Of the first window, seconds since the epoch; windows are of a minute, and follow one another."""
_DISTINCT = 15
"""Windows of a sensor that differ in their rows; then they come again, at other times."""
_COMES = 0.85
"""A host is seen in a window with this probability, ..."""
_TRIES = 0.8
"""... and tries each of its services with this one."""
_ODD = 0.15
"""Hosts that use a port of nobody's, for P2P, games and calls."""
_GROUP_EVERY = 10

_ROLES = (
    ("tcp/443", "tcp/80", "udp/53"),
    ("tcp/443", "tcp/80", "udp/53", "udp/443"),
    ("tcp/443", "udp/443", "udp/53", "udp/123"),
    ("tcp/443", "udp/53", "tcp/445", "tcp/389", "tcp/88"),
    ("tcp/443", "udp/53", "tcp/22", "tcp/5432", "tcp/6379"),
    ("tcp/443", "udp/53", "tcp/993", "tcp/587"),
    ("tcp/25", "udp/53", "tcp/465"),
    ("tcp/8883", "udp/53", "udp/123"),
    ("tcp/1883", "udp/123"),
    ("tcp/9100", "icmp/echo"),
    ("udp/161", "icmp/echo", "tcp/443"),
    ("tcp/3389", "tcp/445", "tcp/135", "udp/53"),
    ("tcp/3306", "tcp/443", "udp/53", "tcp/9200"),
    ("udp/5060", "udp/53", "tcp/443"),
    ("tcp/2049", "tcp/111", "tcp/22", "udp/53"),
    ("udp/53", "tcp/853"),
)
_GROUP = ("tcp/21", "tcp/23", "tcp/2323", "tcp/5555", "tcp/7547", "tcp/8080", "tcp/37215", "tcp/52869")


@dataclass(frozen=True, slots=True)
class _Host:
    address: str
    services: tuple[str, ...]
    odd: bool


class Sensor:
    """Makes the windows of one sensor, one after the other; equal seeds give equal windows."""

    def __init__(self, name: str, seed: int, rows: int = 1000) -> None:
        """Each window has `rows` rows; raises ValueError below 200."""
        if rows < 200:
            raise ValueError(f"rows: {rows} have no room for scanners and hosts; use 200 or more")
        self.name = name
        self._chance = np.random.default_rng(seed)
        self._rows = rows
        self._number = 0
        # Enough hosts that a window always overflows: what is too much is cut off.
        self._hosts = [self._host(i, seed) for i in range(rows // 2)]

    def window(self) -> dict[str, Any]:
        """Return the next window, as it is posted."""
        rows = [*self._scanners(), *self._group(), *self._honest()][: self._rows]
        start, end = window_times(self._number)
        self._number += 1
        return {"sensor": self.name, "start": start, "end": end, "rows": rows}

    def _host(self, number: int, seed: int) -> _Host:
        address = f"10.{seed % 250}.{number // 250}.{1 + number % 250}"
        role = _ROLES[int(self._chance.zipf(1.4) - 1) % len(_ROLES)]
        return _Host(address, role, bool(self._chance.random() < _ODD))

    def _honest(self) -> list[dict[str, Any]]:
        rows = []
        for place in self._chance.permutation(len(self._hosts)).tolist():
            host = self._hosts[place]
            if self._chance.random() > _COMES:
                continue
            services = [name for name in host.services if self._chance.random() < _TRIES]
            if host.odd:
                services.append(f"udp/{self._chance.integers(20_000, 60_000)}")
            rows += [self._answered(host.address, service) for service in services]
        return rows

    def _answered(self, source: str, service: str) -> dict[str, Any]:
        targets = 1 + int(self._chance.poisson(0.7))
        answered = targets - int(self._chance.random() < 0.03)
        return _row(source, service, targets * (1 + int(self._chance.poisson(1.5))), targets, answered)

    def _scanners(self) -> list[dict[str, Any]]:
        ports = self._chance.choice(60_000, 60, replace=False) + 1
        upright = [_row("203.0.113.7", f"tcp/{port}", 1, 1, 0) for port in ports.tolist()]
        return [*upright, _row("203.0.113.8", "tcp/23", 240, 240, 3), _row("203.0.113.8", "tcp/2323", 30, 30, 0)]

    def _group(self) -> list[dict[str, Any]]:
        if self._number % _GROUP_EVERY:
            return []
        return [
            _row(f"198.51.100.{1 + i}", service, 2, 2, 0)
            for i in range(12)
            for service in _GROUP
            if self._chance.random() < _TRIES
        ]


def _row(source: str, service: str, attempts: int, targets: int, answered: int) -> dict[str, Any]:
    return {"source": source, "service": service, "attempts": attempts, "targets": targets, "answered": answered}


def window_times(number: int) -> tuple[str, str]:
    """Return start and end of a sensor's window, counted from 0, as they are posted."""
    at = START + MINUTE * number
    return _time(at), _time(at + MINUTE)


def _time(seconds: int) -> str:
    return str(np.datetime64(seconds, "s")) + "Z"


@dataclass(frozen=True, slots=True)
class Posts:
    """Rows of some windows, as JSON: bodies are put together from them without work."""

    rows: tuple[bytes, ...]

    @classmethod
    def of(cls, seed: int, count: int = _DISTINCT, rows: int = 1000) -> Posts:
        """Return those of the first windows of a sensor."""
        sensor = Sensor("any", seed, rows)
        return cls(tuple(json.dumps(sensor.window()["rows"]).encode() for _ in range(count)))

    def write(self, folder: Path) -> None:
        """Write them to a new folder."""
        folder.mkdir(parents=True)
        for number, rows in enumerate(self.rows):
            (folder / f"{number:04}.json").write_bytes(rows)

    @classmethod
    def read(cls, folder: Path) -> Posts:
        """Return those of a folder."""
        return cls(tuple(file.read_bytes() for file in sorted(folder.iterdir())))

    def body(self, sensor: str, number: int) -> bytes:
        """Return a sensor's window, counted from 0, as it is posted."""
        start, end = window_times(number)
        head = json.dumps({"sensor": sensor, "start": start, "end": end}).encode()
        return head[:-1] + b', "rows": ' + self.rows[number % len(self.rows)] + b"}"
