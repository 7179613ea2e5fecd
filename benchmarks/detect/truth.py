"""Recorded traffic, and who scans in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_UNSOLICITED = ("honeypot", "telnet_sessions")
"""In the names of logs of which all is unsolicited: whoever is named there is not named wrongly."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A capture or a log, and what is to be said of it."""

    path: Path
    name: str
    role: str
    """scan: scanners are listed; quiet: nobody may be named; flows: a log; parse: only to be read."""
    scanners: dict[str, str]
    """Source → kind of its scan."""
    excused: frozenset[str]
    """Sources that may be named besides: others call them malicious."""
    packets: int | None
    """How many it has, counted by others."""

    @property
    def all_unsolicited(self) -> bool:
        """Whether nobody in it can be named wrongly."""
        return any(word in self.name for word in _UNSOLICITED)


def read_collection(folder: Path, optional: tuple[str, ...] = ()) -> list[Recording]:
    """Return the recordings that ``truth.json`` in a folder lists and that are there.

    It is a list of objects with ``file``, ``category`` (scan, botnet, benign, hard-negative, flows or awkward),
    ``scanners`` (objects with ``source`` and ``kind``) and perhaps ``stats.packets``. Those whose names begin with
    one of `optional` are only read.
    """
    entries: list[dict[str, Any]] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return [
        Recording(
            path=folder / entry["file"],
            name=entry["file"],
            role="parse" if entry["file"].startswith(optional) and optional else _role(entry),
            scanners={scanner["source"]: scanner["kind"] for scanner in entry["scanners"]},
            excused=_blamed(folder / entry["file"]),
            packets=(entry.get("stats") or {}).get("packets"),
        )
        for entry in entries
        if (folder / entry["file"]).exists()
    ]


def read_example(capture: Path) -> Recording:
    """Return our own recording, with the truth that lies beside it."""
    events = json.loads(capture.with_suffix(".truth.json").read_text(encoding="utf-8"))["events"]
    scanners = {event["source"]: event["kind"] for event in events if event["role"] == "scan"}
    return Recording(capture, capture.name, "scan", scanners, frozenset(), None)


def _role(entry: dict[str, Any]) -> str:
    roles = {"scan": "scan", "botnet": "scan", "benign": "quiet", "hard-negative": "quiet", "flows": "flows"}
    return roles.get(entry["category"], "scan" if entry["scanners"] else "parse")


def _blamed(path: Path) -> frozenset[str]:
    """Return the sources that a labelled log of Zeek calls malicious."""
    if "conn.log.labeled" not in path.name:
        return frozenset()
    import gzip

    with gzip.open(path, "rt", errors="replace") as lines:
        rows = [line.split("\t") for line in lines if "malicious" in line.lower()]
    return frozenset(row[2] for row in rows if len(row) > 5)
