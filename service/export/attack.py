"""Techniques of MITRE ATT&CK by their ids, as other formats want them: with names, tactic and address."""

from __future__ import annotations

from dataclasses import dataclass

FRAMEWORK = "MITRE ATT&CK"
_SITE = "https://attack.mitre.org"

_NAMES = {
    "T1046": "Network Service Discovery",
    "T1110": "Brute Force",
    "T1595": "Active Scanning",
    "T1595.001": "Scanning IP Blocks",
}
_TACTICS = {
    "T1046": ("TA0007", "Discovery"),
    "T1110": ("TA0006", "Credential Access"),
    "T1595": ("TA0043", "Reconnaissance"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of ATT&CK: a tactic, a technique or a part of one."""

    id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique, where it belongs, and the part of it that is meant, if one is."""

    whole: Entry
    part: Entry | None
    tactic: Entry | None
    """None where the technique is none of those that Yocho names."""

    @property
    def narrowest(self) -> Entry:
        """The part, or else the technique."""
        return self.part or self.whole

    @property
    def title(self) -> str:
        """The name as ATT&CK writes it: ``Active Scanning: Scanning IP Blocks``."""
        return f"{self.whole.name}: {self.part.name}" if self.part else self.whole.name


def technique_of(technique: str) -> Technique:
    """Return the technique with an id such as ``T1046`` or ``T1595.001``; an unknown one is called by it."""
    whole, _, part = technique.partition(".")
    tactic = _TACTICS.get(whole)
    return Technique(
        Entry(whole, _NAMES.get(whole, whole), f"{_SITE}/techniques/{whole}/"),
        Entry(technique, _NAMES.get(technique, technique), f"{_SITE}/techniques/{whole}/{part}/") if part else None,
        Entry(tactic[0], tactic[1], f"{_SITE}/tactics/{tactic[0]}/") if tactic else None,
    )
